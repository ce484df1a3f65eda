"""A browser that is logged in to a studio, and notes what goes wrong in its pages."""

import pytest

from tests.e2e.studio.tab import Tab


@pytest.fixture
def tab(chromium, studio):
    """Return a function that opens a tab, logged in as the owner unless `login=False`."""
    made = []

    def make(*, login=True, **options):
        one = Tab(chromium, studio, **options)
        made.append(one)
        if login:
            one.page.goto(studio.client.post("/login-links")["url"])
        return one.page

    yield make
    for one in made:
        one.context.close()
        assert one.problems == []
        assert one.elsewhere == []

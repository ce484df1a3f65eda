"""From two databases to a forecast in the browser, without SQL: PostgreSQL and MariaDB, joined, charted, remembered."""

import os
from pathlib import Path

import pytest

from studio.testing import running_studio
from tests.e2e.studio.builder_page import CUSTOMERS, databases
from tests.e2e.studio.dataset_journey import SLUG, DatasetJourney, fill_shop
from tests.e2e.studio.tab import Tab

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
# With DTEG_SHOTS=FOLDER the pictures are kept.
SHOTS = os.environ.get("DTEG_SHOTS", "")


def test_from_two_databases_to_a_forecast(chromium, studio_project, postgres_tcp, mariadb_url):
    fill_shop(mariadb_url)
    with (
        databases(postgres_tcp.url, crm=CUSTOMERS) as urls,
        running_studio(studio_project, background=True) as studio,
    ):
        tab = Tab(chromium, studio, viewport={"width": 1360, "height": 900})
        tab.page.goto(studio.client.post("/login-links")["url"])

        def picture(name):
            if SHOTS:
                tab.page.screenshot(path=Path(SHOTS) / f"{name}.png")

        DatasetJourney(tab.page, studio, urls["crm"], mariadb_url, picture).walk()
        tab.context.close()
        dataset = studio.services.datasets.get(SLUG)
        assert tab.problems == []
        assert tab.elsewhere == []
        assert {each.source for each in dataset.depends_on} == {"crm", "shop"}
        assert dataset.live.rows > 50
        assert [check.passed for check in dataset.live.checks] == [True]

"""A browser for the tests of one module."""

import contextlib

import pytest

from dteg.core.errors import EnvironmentProblemError
from dteg.testing.browser import headless_chromium


@pytest.fixture(scope="module")
def chromium():
    """Headless Chromium, which reaches this machine only."""
    with contextlib.ExitStack() as stack:
        try:
            browser = stack.enter_context(headless_chromium())
        except EnvironmentProblemError as error:
            pytest.skip(f"NO PAGE IS LOOKED AT IN A BROWSER: {error}")
        from playwright.sync_api import expect

        expect.set_options(timeout=20_000)  # five seconds are too few where other tests share the machine
        yield browser

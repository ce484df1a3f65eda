"""The list of datasets and the page of one in Chromium: nothing sticks out at three widths, and a refresh shows itself."""

import psycopg
import pytest

from dteg.core.errors import QualityGateError
from dteg.datasets.service import Datasets
from dteg.datasets.spec import parse_spec
from tests.integration.datasets.conftest import SALES, SUMS, TABLES

pytestmark = [pytest.mark.e2e, pytest.mark.integration]
WIDTHS = (390, 820, 1280)


@pytest.fixture
def filled(studio, postgres_url):
    """Three datasets: one with rows whose last refresh failed, one made of it, one without rows."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(TABLES)
        datasets = Datasets.of(studio.project)
        planned = SALES.replace("max_age: 1h", 'schedule: "15 * * * *", max_age: 1h')
        datasets.save(parse_spec(planned))
        datasets.save(parse_spec(SUMS.replace("dataset: sums", "dataset: sums\ntitle: Sums by country")))
        datasets.refresh("sales")
        datasets.refresh("sums")
        datasets.save(parse_spec(SUMS.replace("dataset: sums", "dataset: not_yet_refreshed_by_anybody")))
        connection.execute("DELETE FROM raw.orders")
        with pytest.raises(QualityGateError):
            datasets.refresh("sales")
        connection.execute("INSERT INTO raw.orders SELECT i, 1, i, now() FROM generate_series(1, 40) AS i")
    return datasets


def test_pages_fit_each_width_and_say_what_is_wrong(studio, tab, filled):
    page = tab()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for path in (
            "/datasets",
            "/datasets/sales",
            "/datasets/not_yet_refreshed_by_anybody",
            "/datasets/sales/remove",
        ):
            page.goto(f"{studio.url}{path}")
            wide = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert wide <= 0, f"{path} is {wide} px too wide at {width} px"
    page.goto(f"{studio.url}/datasets/sales")
    assert "The last refresh failed." in page.locator("#state").inner_text()
    assert "Readers go on seeing generation 1." in page.locator("#state").inner_text()


def test_a_refresh_shows_itself_and_the_new_rows(studio, tab, filled, postgres_url):
    page = tab()
    page.goto(f"{studio.url}/datasets/sales")
    with psycopg.connect(postgres_url) as holder:
        holder.execute("LOCK TABLE raw.orders")  # or it might be over before anybody sees it
        page.get_by_role("button", name="Refresh now").click()
        page.locator("#state").get_by_text("New rows are being built.").wait_for()
    # The page asks again by itself, and loads anew when it is done.
    page.get_by_text("generation 3", exact=True).wait_for(timeout=60_000)
    assert "40 rows" in page.locator("#state").inner_text()
    assert "failed" not in page.locator("#state").inner_text()
    page.get_by_role("button", name="Show this again").first.click()
    page.get_by_text("generation 1", exact=True).wait_for()
    assert "300 rows" in page.locator("#state").inner_text()
    page.get_by_label("Only rows where").select_option("amount")
    page.get_by_label("How it is compared").select_option("is more than")
    page.get_by_label("Value", exact=True).fill("440")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**where=*amount*")
    assert page.locator("#rows tbody tr").count() == 7

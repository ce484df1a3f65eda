"""The history of a dataset in Chromium: three widths, light and dark, readable by everybody, usable without scripts."""

import json
import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
from playwright.sync_api import expect

from dteg.datasets.spec import DatasetSpec
from dteg.snapshots.forecasting.forecaster import find_python
from dteg.snapshots.models import NewPoint
from dteg.testing.browser import PHONE, WIDTHS
from tests.e2e.axe import violations

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

PAGE = "/datasets/sales/history"
# With DTEG_SHOTS=FOLDER pictures of the page are kept.
SHOTS = os.environ.get("DTEG_SHOTS", "")
SPEC = {
    "dataset": "sales",
    "title": "Sales by country",
    "sources": {"o": {"source": "warehouse", "schema": "public", "table": "orders"}},
    "group_by": [{"name": "country", "from": "o.country"}],
    "measures": [{"name": "revenue", "fn": "sum", "of": "o.amount"}, {"name": "orders", "fn": "count"}],
    "snapshot": {"schedule": "0 * * * *", "by": ["country"]},
}


@pytest.fixture
def history(studio):
    """A dataset with five days of hours: a rise, a day's season, a gap, and an outlier."""
    with psycopg.connect(studio.project.warehouse_url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE public.orders (country text, amount numeric)")
        connection.execute("INSERT INTO public.orders VALUES ('KZ', 30), ('DE', 12), ('<i>', 5)")
    studio.services.datasets.save(DatasetSpec.model_validate(SPEC))
    studio.services.datasets.refresh("sales")
    slot = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    past = [
        NewPoint(
            slot=slot - timedelta(hours=n),
            value=round(2000 - 3 * n + 160 * math.sin(n / 3.82) + n * 7919 % 61, 1),
        )
        for n in range(1, 121)
        if n not in (40, 41, 42)
    ]
    past[20] = NewPoint(slot=past[20].slot, value=2900)
    studio.services.snapshots.add("sales", "revenue", past)
    return studio


def check(page, width):
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"at {width}: {over} pixels to scroll sideways"
    found = violations(page)
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_and_everybody_can_read_it(tab, history, scheme):
    history.services.snapshots.forecast("sales", "revenue")
    page = tab(color_scheme=scheme)
    few = urlencode({"series": json.dumps(["orders", {}])})
    history.services.snapshots.take("sales")
    for address, name in ((PAGE, "history"), (f"{PAGE}?{few}", "few")):
        for width in WIDTHS if scheme == "light" else WIDTHS[-1:]:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(address)
            expect(page.locator("svg.chart:visible")).to_have_count(1)
            check(page, width)
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"snapshots-{name}-{width}-{scheme}.png", full_page=True)


def test_a_forecast_is_made_without_scripts(tab, history):
    page = tab(java_script_enabled=False)
    page.set_viewport_size({"width": PHONE, "height": 900})
    page.goto(PAGE)
    expect(page.get_by_text("There is none yet.")).to_be_visible()
    page.get_by_role("button", name="Make a forecast").click()
    expect(page.get_by_role("status").first).to_have_text("The forecast is there.")
    expect(page.locator("svg.chart:visible .chart-band-80")).to_have_count(1)
    model = "seasonal naive" if find_python() is None else "ETS"
    expect(page.get_by_text("Model", exact=True).locator("..")).to_contain_text(model)
    expect(page.locator("svg.chart:visible .chart-odd")).not_to_have_count(0)
    page.get_by_role("button", name="Remember now").click()
    expect(page.get_by_role("status").first).to_have_text("The numbers of now are remembered.")
    page.get_by_label("Series").select_option(label="revenue: country <i>")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="Not enough data")).to_be_visible()
    expect(page.get_by_text("7 more")).to_be_visible()

"""Charts and dashboards in Chromium: drawn without eval and other hosts, in time, by form and by keys, at three widths."""

import json
import os
import re
import time
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import expect

from dteg.charts.layers import NewGeoLayer
from dteg.charts.models import ChartSpec
from dteg.dashboards.models import DashboardSpec
from dteg.datasets.service import Datasets
from dteg.datasets.spec import spec_of
from dteg.testing.browser import DESKTOP, PHONE, WIDTHS
from tests.e2e.studio.test_pages import check_layout, check_with_axe
from tests.integration.charts.sales import make_spec

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

IMAGES = Path(__file__).parents[3] / "docs" / "images"
READY_S = 2.5
MAX_SCRIPT_BYTES = 900_000
CHARTS = (
    make_spec("revenue", title="Revenue by month", type="area", x={"field": "ordered_at", "grain": "month"}, color={"field": "status"}),
    make_spec("countries", title="Revenue by country", y=[{"fn": "sum", "field": "amount", "unit": "EUR"}]),
    make_spec("days", title="Orders by day", type="line", x={"field": "day", "grain": "day"}, y=[{"fn": "count", "title": "orders"}]),
    make_spec("shares", title="Shares of countries", type="pie", y=[{"fn": "count"}]),
    make_spec("when", title="Orders by week and country", type="heatmap", x={"field": "ordered_at", "grain": "week"}, color={"field": "country"}, y=[{"fn": "count", "title": "orders"}]),
    make_spec("world", title="Revenue on the map", type="map", map={"layer": "squares", "key": "iso"}),
    make_spec("total", title="Revenue", type="number", x=None, y=[{"fn": "sum", "field": "amount", "unit": "EUR", "format": "integer"}], compare={"field": "day", "period": "30d"}),
    make_spec("orders", title="Last orders", type="table", x=None, y=None, fields=["id", "country", "status", "day", "amount"], top=20, sort="-x"),
)  # fmt: skip
ORDERS = """
CREATE SCHEMA IF NOT EXISTS raw;
CREATE TABLE raw.orders AS
SELECT
    n AS id,
    (ARRAY['DE', 'DE', 'DE', 'FR', 'FR', 'AT', 'AT', 'AT', 'AT', NULL])[1 + n * 7 % 10] AS country,
    (ARRAY['paid', 'paid', 'new', 'returned', 'paid'])[1 + n * 3 % 5] AS status,
    timestamptz '2026-01-01 00:00+00' + n * interval '4 hours' + sin(n / 9.0) * interval '9 hours' AS ordered_at,
    (timestamptz '2026-01-01 00:00+00' + n * interval '4 hours' + sin(n / 9.0) * interval '9 hours')::date AS day,
    round((40 + n / 10.0 + 25 * sin(n / 40.0) + n * 7919 % 17)::numeric, 2) AS amount
FROM generate_series(12, 720) AS n
"""
DATASET = {
    "dataset": "sales",
    "title": "Orders of the shop",
    "sources": {"o": {"source": "warehouse", "schema": "raw", "table": "orders"}},
    "cache": {"max_age": "1d"},
}
# Rough outlines, for a map must be recognised and no more.
OUTLINES = {
    "DE": [
        [6.1, 50.1],
        [8.2, 49],
        [7.6, 47.6],
        [10.2, 47.3],
        [13, 47.5],
        [13.8, 48.8],
        [12.1, 50.3],
        [14.8, 50.9],
        [14.2, 53.9],
        [11, 54],
        [9.9, 54.8],
        [8.7, 54.9],
        [8.9, 53.9],
        [7.1, 53.7],
        [6.1, 51.8],
        [6.1, 50.1],
    ],
    "FR": [
        [2.5, 51.1],
        [6.1, 49.5],
        [8.2, 49],
        [7.6, 47.6],
        [6, 46.2],
        [7, 45.9],
        [6.6, 45.1],
        [7.5, 43.8],
        [6.2, 43.1],
        [3.1, 43.1],
        [3.2, 42.4],
        [-1.8, 43.4],
        [-1.1, 46],
        [-4.6, 47.9],
        [-4.7, 48.6],
        [-1.6, 48.6],
        [-1.3, 49.7],
        [2.5, 51.1],
    ],
    "CH": [[6, 46.2], [7.6, 47.6], [10.2, 47.3], [10.4, 46.5], [9, 45.8], [7, 45.9], [6, 46.2]],
    "AT": [
        [10.2, 47.3],
        [13, 47.5],
        [13.8, 48.8],
        [16.5, 48.8],
        [17, 48],
        [16, 46.8],
        [13.5, 46.5],
        [12.2, 46.9],
        [10.4, 46.5],
        [10.2, 47.3],
    ],
}
AREAS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"iso": name},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for name, ring in OUTLINES.items()
    ],
}
TILES = [
    {"text": "# Sales\nAll orders of the *shop* of this year.", "x": 0, "y": 0, "w": 9, "h": 2},
    {"chart": "total", "x": 9, "y": 0, "w": 3, "h": 2},
    {"chart": "revenue", "x": 0, "y": 2, "w": 8, "h": 4},
    {"chart": "shares", "x": 8, "y": 2, "w": 4, "h": 4},
    {"chart": "countries", "x": 0, "y": 6, "w": 6, "h": 4},
    {"chart": "days", "x": 6, "y": 6, "w": 6, "h": 4},
    {"chart": "when", "x": 0, "y": 10, "w": 7, "h": 4},
    {"chart": "world", "x": 7, "y": 10, "w": 5, "h": 4},
    {"chart": "orders", "x": 0, "y": 14, "w": 12, "h": 4},
]


@pytest.fixture
def board(studio, postgres_url):
    """A dashboard of six charts, a number, a table and a text."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(ORDERS)
    services = studio.services
    datasets = Datasets.of(studio.project)
    datasets.save(spec_of(DATASET))
    datasets.refresh("sales")
    services.charts.layers.add(NewGeoLayer(slug="squares"), json.dumps(AREAS).encode())
    for values in CHARTS:
        services.charts.save(ChartSpec.model_validate(values))
    filters = [{"field": "country", "title": "Country"}, {"field": "day", "type": "range", "title": "Days"}]
    spec = {
        "dashboard": "sales",
        "title": "Sales of the shop",
        "tiles": TILES,
        "filters": filters,
        "refresh": "10s",
    }
    services.dashboards.save(DashboardSpec.model_validate(spec))
    return spec


def wait_for_charts(page):
    if page.locator("script[src*='/charts.']").count():
        page.wait_for_selector("html[data-charts-ready='true']", state="attached", timeout=60_000)
    failed = page.locator("[data-failed]")
    assert failed.count() == 0, failed.first.inner_text()


def test_six_charts_are_ready_in_time_without_other_hosts_or_eval(tab, board):
    page = tab()
    scripts = []
    page.on(
        "response",
        lambda answer: scripts.append(answer) if answer.url.split("?")[0].endswith(".js") else None,
    )
    page.goto("/healthz")
    began = time.monotonic()
    answer = page.goto("/dashboards/sales")
    wait_for_charts(page)
    seconds = time.monotonic() - began
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert page.locator("[data-chart][data-ready='true']").count() == 6
    assert sum(len(each.body()) for each in scripts) < MAX_SCRIPT_BYTES
    print(
        f"6 charts ready after {seconds:.2f} s, {sum(len(each.body()) for each in scripts):,} bytes of scripts"
    )
    # The target is held by the benchmark `dashboard`: here other programs share the machine, and only what hangs is seen.
    assert seconds < READY_S * 12
    for canvas in page.locator("[data-chart] canvas").all():
        size = canvas.bounding_box()
        assert size["width"] > 150
        assert size["height"] > 80


def test_pages_fit_three_widths_and_everybody_can_read_them(tab, board):
    page = tab()
    wrong = []
    paths = ["/dashboards", "/dashboards/sales", "/dashboards/sales/edit", "/charts", "/charts/countries", "/charts/orders", "/charts/total", "/charts/choose", "/charts/new?dataset=sales", "/charts/areas", "/charts/days/edit"]  # fmt: skip
    shots = os.environ.get("DTEG_SHOTS", "")
    for path in paths:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(path)
            wait_for_charts(page)
            wrong += check_layout(page, path, width)
            if width != WIDTHS[1]:
                wrong += check_with_axe(page, f"{path} at {width}")
            if shots:
                name = path.strip("/").replace("/", "-").replace("?", "-")
                page.screenshot(path=Path(shots) / f"{name}-{width}.png", full_page=True)
    assert wrong == [], "\n".join(wrong)


def test_a_chart_is_drawn_while_it_is_filled_in(tab, board, studio):
    page = tab(viewport={"width": DESKTOP, "height": 900})
    page.goto("/charts/choose")
    page.get_by_role("button", name="Draw Orders of the shop").click()
    page.get_by_text("Line", exact=True).click()
    page.get_by_label("Column", exact=True).select_option("ordered_at")
    page.get_by_label("Times").first.select_option("week")
    page.get_by_label("Number 1").select_option("amount")
    preview = page.locator("[data-preview]")
    expect(preview).to_have_attribute("data-ready", "true")
    expect(preview.locator("canvas")).to_be_visible()
    page.get_by_label("Colour", exact=True).select_option("status")
    page.get_by_label("Title", exact=True).last.fill("Revenue by week")
    page.get_by_label("Name in addresses and files").fill("weekly")
    page.wait_for_timeout(400)
    expect(preview).to_have_attribute("data-ready", "true")
    page.screenshot(path=IMAGES / "charts-form.png")
    page.get_by_role("button", name="Save the chart").click()
    expect(page.get_by_role("status").first).to_have_text("The chart is saved.")
    wait_for_charts(page)
    spec = studio.services.charts.get("weekly").spec
    assert (spec.type, spec.x.grain, spec.color.field) == ("line", "week", "status")
    page.get_by_text("The data as a table").click()
    expect(page.locator("table.data tbody tr").first).to_be_visible()


def test_what_does_not_fit_is_told_in_the_preview(tab, board):
    page = tab()
    page.goto("/charts/new?dataset=sales")
    page.get_by_label("Column", exact=True).select_option("country")
    page.get_by_label("Times").first.select_option("week")
    page.get_by_label("Number 1").select_option("amount")
    expect(page.locator("[data-preview] [data-note]")).to_contain_text("holds no times")


def test_filters_apply_to_all_tiles_and_new_data_comes_by_itself(tab, board, studio, postgres_url):
    number = studio.services.dashboards.tile("sales", 1).data.number.text
    page = tab(viewport={"width": DESKTOP, "height": 900})
    page.goto("/dashboards/sales")
    wait_for_charts(page)
    expect(page.locator(".big-number")).to_contain_text(number)
    page.locator(".choices summary").click()
    page.get_by_role("checkbox", name="DE").check()
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**f0=DE*")
    wait_for_charts(page)
    expect(page.locator(".tile-html tbody tr").first).to_contain_text("DE")
    expect(page.locator(".big-number")).to_contain_text("EUR")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE raw.orders SET amount = 1000000 WHERE country = 'DE' AND day > '2026-04-20'"
        )
    Datasets.of(studio.project).refresh("sales")
    expect(page.locator(".big-number")).to_contain_text(re.compile(r"\d,\d{3},\d{3} EUR"), timeout=20_000)
    expect(page.locator("#board")).to_have_attribute("data-refreshed", "1")


def test_tiles_are_moved_by_keys_and_by_mouse(tab, board, studio):
    page = tab(viewport={"width": DESKTOP, "height": 900})
    page.goto("/dashboards/sales/edit")
    head = page.locator("[data-tile='1'] [data-drag]")
    head.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowRight")
    handle = page.locator("[data-tile='8'] [data-drag]")
    handle.scroll_into_view_if_needed()
    spot = handle.bounding_box()
    page.mouse.move(spot["x"] + 5, spot["y"] + 5)
    page.mouse.down()
    page.mouse.move(spot["x"] + 5, spot["y"] + 5 + 94 * 2, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Save the dashboard").click()
    expect(page.get_by_role("status").first).to_have_text("The dashboard is saved.")
    tiles = studio.services.dashboards.get("sales").spec.tiles
    assert (tiles[1].x, tiles[1].w, tiles[1].y) == (7, 4, 0)
    assert tiles[0].y >= 2  # it gave way
    assert tiles[8].y > TILES[8]["y"]


def test_a_dashboard_is_made_without_scripts(tab, board, studio):
    page = tab(java_script_enabled=False)
    page.goto("/dashboards")
    page.get_by_text("Make a dashboard").click()
    page.get_by_label("Title").fill("Mine")
    page.get_by_label("Name in addresses and files").fill("mine")
    page.get_by_role("button", name="Make the dashboard").click()
    page.get_by_label("Chart", exact=True).select_option("countries")
    page.get_by_role("button", name="Put it on").first.click()
    page.get_by_role("button", name="Look at it").click()
    picture = page.locator("noscript img, .plot img").first
    assert picture.count() == 1
    assert [tile.chart for tile in studio.services.dashboards.get("mine").spec.tiles] == ["countries"]


def test_pictures_for_the_guide(tab, board):
    page = tab(viewport={"width": DESKTOP, "height": 1000})
    page.goto("/dashboards/sales")
    wait_for_charts(page)
    page.screenshot(path=IMAGES / "charts-dashboard.png", full_page=True)
    page.set_viewport_size({"width": PHONE, "height": 844})
    page.goto("/charts/countries")
    wait_for_charts(page)
    page.screenshot(path=IMAGES / "charts-phone.png")

"""Charts, areas and dashboards in the browser, without scripts."""

import io
import json
import re

import pytest

from tests.integration.charts.sales import SQUARES, make_sales

pytestmark = pytest.mark.integration
FORM = {
    "dataset": "sales", "type": "bar", "x": "country", "y0_fn": "sum", "y0": "amount", "y0_unit": "EUR",
    "title": "Revenue <b>", "slug": "revenue", "color": "status", "where0": "country", "where0_op": "in",
    "where0_value": "DE, FR", "sort": "-y", "top": "5", "roles": "finance, ops", "y1_fn": "count",
}  # fmt: skip


@pytest.fixture
def browser(studio, postgres_url):
    make_sales(postgres_url)
    with studio.browser() as one:
        yield one


def send(studio, browser, path, files=None, **fields):
    return browser.post(path, data={"csrf": studio.csrf_of(browser), **fields}, files=files)


def test_a_chart_by_its_form(studio, browser):
    assert "No charts yet" in browser.get("/charts").text
    assert "/charts/new?dataset=sales" in browser.get("/charts/choose").text
    assert browser.get("/charts/new").headers["location"] == "/charts/choose"
    form = browser.get("/charts/new?dataset=sales").text
    assert "ordered_at (time)" in form
    shown = send(studio, browser, "/charts", **{**FORM, "y1_fn": ""}, do="preview")
    assert shown.status_code == 200
    assert "Revenue &lt;b&gt;" in shown.text
    made = send(studio, browser, "/charts", **{**FORM, "y1_fn": ""})
    assert made.status_code == 303, made.text
    page = browser.get(made.headers["location"]).text
    assert "The chart is saved." in page
    assert "for finance" in page
    assert "<noscript><img" in page
    spec = studio.services.charts.get("revenue").spec
    assert spec.filters[0].value == ["DE", "FR"]
    assert (spec.top, spec.sort, spec.y[0].unit, spec.roles) == (5, "-y", "EUR", ["finance", "ops"])
    edit = browser.get("/charts/revenue/edit").text
    assert 'value="DE, FR"' in edit
    from studio.charts.forms import form_of

    changed = send(studio, browser, "/charts/revenue/edit", **{**form_of(spec), "title": "Other"})
    assert changed.status_code == 303
    assert studio.services.charts.get("revenue").spec == spec.model_copy(update={"title": "Other"})
    assert "Remove Other?" in browser.get("/charts/revenue/remove").text
    assert send(studio, browser, "/charts/revenue/remove").status_code == 303
    assert studio.services.charts.charts() == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"slug": "Not a slug"}, "Chart"),
        ({"slug": "new"}, "a word of the program"),
        ({"title": ""}, "Title"),
        ({"x": ""}, "needs x"),
        ({"x": "nowhere"}, "no column"),
        ({"y1_fn": "count"}, "either several numbers or color"),
        ({"more": "{"}, "no JSON"),
        ({"more": '{"data": {"url": "file:///etc/passwd"}}'}, "data is not allowed"),
        ({"type": "map"}, "Layer"),
    ],
)
def test_what_is_wrong_is_told_and_the_form_keeps_the_rest(studio, browser, fields, said):
    answer = send(studio, browser, "/charts", **{**FORM, "y1_fn": "", **fields})
    assert answer.status_code == 422
    assert said.lower() in answer.text.lower()
    assert 'value="DE, FR"' in answer.text
    assert studio.services.charts.charts() == []


def test_preview_answers_as_json(studio, browser):
    good = send(studio, browser, "/charts/preview", **{**FORM, "y1_fn": "", "title": "", "slug": ""})
    assert good.json()["spec"]["mark"]["type"] == "bar"
    assert (
        "no column"
        in send(studio, browser, "/charts/preview", **{**FORM, "y1_fn": "", "x": "nope"}).json()["problem"]
    )
    assert browser.post("/charts/preview", data=FORM).status_code == 403  # without the token of the form


def test_areas_by_a_file(studio, browser):
    file = ("squares.geojson", io.BytesIO(json.dumps(SQUARES).encode()))
    made = send(studio, browser, "/charts/areas", files={"file": file}, slug="squares")
    assert made.status_code == 303, made.text
    assert "iso, title" in browser.get("/charts/areas").text
    wrong = send(studio, browser, "/charts/areas", files={"file": ("x.json", b"[]")}, slug="other")
    assert (wrong.status_code, "FeatureCollection" in wrong.text) == (422, True)
    again = send(studio, browser, "/charts/areas", files={"file": file}, slug="squares")
    assert again.status_code == 422
    assert send(studio, browser, "/charts/areas/squares/remove").status_code == 303


def test_a_dashboard_by_forms(studio, browser):
    send(studio, browser, "/charts", **{**FORM, "y1_fn": "", "roles": ""})
    send(studio, browser, "/charts", dataset="sales", type="number", y0_fn="count", title="Orders", slug="orders")  # fmt: skip
    made = send(studio, browser, "/dashboards", title="Sales", slug="sales")
    assert made.headers["location"].startswith("/dashboards/sales/edit")
    edit = "/dashboards/sales/edit"
    for fields in ({"do": "add_chart", "add_chart": "revenue"}, {"do": "add_chart", "add_chart": "orders"}, {"do": "add_text", "add_text": "**Hi** <script>alert(1)</script>"}):  # fmt: skip
        assert send(studio, browser, edit, title="Sales", **fields).status_code == 303
    moved = {"t1_x": "6", "t1_y": "0", "t1_w": "3", "t1_h": "2", "t0_w": "99", "t2_y": "0"}
    saved = send(
        studio, browser, edit, title="Sales", refresh="5m", filter0="status", filter0_default="new, paid",
        filter1="day", filter1_type="period", **moved,
    )  # fmt: skip
    assert saved.status_code == 303, saved.text
    spec = studio.services.dashboards.get("sales").spec
    assert (spec.tiles[0].x, spec.tiles[0].y, spec.tiles[0].w) == (0, 0, 12)
    assert spec.filters[0].default == ["new", "paid"]
    page = browser.get("/dashboards/sales").text
    assert "400" in page
    assert "<strong>Hi</strong>" in page
    assert "<script>alert" not in page
    assert "style=" not in page.split("<main")[1]  # the policy of pages forbids it
    assert ">200<" in browser.get("/dashboards/sales?f0=new").text.replace('nums">', ">")
    wrong = send(studio, browser, edit, title="Sales", refresh="1s")
    assert (wrong.status_code, "at least 10s" in wrong.text) == (422, True)
    assert send(studio, browser, edit, title="Sales", do="remove0").status_code == 303
    assert len(studio.services.dashboards.get("sales").spec.tiles) == 2


def test_who_saves_the_older_of_two_tabs_is_told_and_nothing_is_overwritten(studio, browser):
    form = {**FORM, "y1_fn": "", "roles": ""}
    send(studio, browser, "/charts", **form)
    send(studio, browser, "/dashboards", title="Sales", slug="sales")
    edit = "/dashboards/sales/edit"
    for words in ("one", "two"):
        send(studio, browser, edit, title="Sales", do="add_text", add_text=words)
    since = _since(browser.get(edit).text)
    assert send(studio, browser, edit, title="Sales", do="remove0", since=since).status_code == 303
    # In this page the first tile is still the text `one`.
    older = send(studio, browser, edit, title="Sales of mine", do="remove0", since=since)
    assert (older.status_code, "changed elsewhere" in older.text) == (409, True)
    assert "Sales of mine" in older.text
    assert [tile.text for tile in studio.services.dashboards.get("sales").spec.tiles] == ["two"]
    assert send(studio, browser, edit, title="Sales of mine", since=_since(older.text)).status_code == 303
    chart = "/charts/revenue/edit"
    since = _since(browser.get(chart).text)
    assert send(studio, browser, chart, **{**form, "title": "First", "since": since}).status_code == 303
    second = send(studio, browser, chart, **{**form, "title": "Second", "since": since})
    assert (second.status_code, "changed elsewhere" in second.text) == (409, True)
    assert studio.services.charts.get("revenue").title == "First"
    assert (
        send(studio, browser, chart, **{**form, "title": "Second", "since": _since(second.text)}).status_code
        == 303
    )


def _since(page):
    return re.search(r'name="since" value="([^"]+)"', page)[1]


def test_a_file_of_dashboards_is_imported(studio, browser):
    send(studio, browser, "/charts", **{**FORM, "y1_fn": "", "roles": ""})
    send(studio, browser, "/dashboards", title="Sales", slug="sales")
    text = browser.get("/api/v1/dashboards/sales/export").text
    assert send(studio, browser, "/dashboards/sales/remove").status_code == 303
    back = send(studio, browser, "/dashboards/import", files={"file": ("sales.yaml", text.encode())})
    assert back.headers["location"].startswith("/dashboards/sales?")
    wrong = send(studio, browser, "/dashboards/import", files={"file": ("x.yaml", b"dashboards: {}")})
    assert (wrong.status_code, "write a list" in wrong.text) == (422, True)


def test_a_dashboard_whose_data_is_gone_still_opens(studio, browser, postgres_url):
    import psycopg

    test_a_dashboard_by_forms(studio, browser)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP VIEW ds.sales")
    page = browser.get("/dashboards/sales")
    assert page.status_code == 200
    assert "dteg dataset refresh sales" in page.text
    assert browser.get("/charts/revenue").status_code == 200

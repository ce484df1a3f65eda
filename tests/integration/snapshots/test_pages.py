"""The history of a dataset in the browser, without scripts."""

import json
from datetime import timedelta
from urllib.parse import urlencode

import pytest

from dteg.snapshots.models import NewPoint

pytestmark = pytest.mark.integration
PAGE = "/datasets/sales/history"


@pytest.fixture
def browser(sales, studio):
    studio.services.__dict__["snapshots"] = sales.snapshots  # with the clock of the shop
    with studio.browser() as made:
        yield made


def send(studio, browser, path, **fields):
    return browser.post(f"{PAGE}/{path}", data={"csrf": studio.csrf_of(browser), **fields})


def key(metric, **by):
    return json.dumps([metric, by])


def fill(sales, count, metric="revenue"):
    past = [
        NewPoint(slot=sales.slot - timedelta(hours=n), value=100 + n * 7919 % 7) for n in range(1, count + 1)
    ]
    sales.snapshots.add("sales", metric, past)


def test_from_nothing_to_a_forecast(sales, studio, browser):
    assert "No points yet" in browser.get(PAGE).text
    made = send(studio, browser, "take")
    assert made.status_code == 303
    page = browser.get(made.headers["location"]).text
    assert "The numbers of now are remembered." in page
    assert "Not enough data" in page
    assert "There is 1: 7 more" in page
    assert "Make a forecast" not in page
    fill(sales, 60)
    page = browser.get(PAGE).text
    assert "There is none yet." in page
    made = send(studio, browser, "forecast", series=key("revenue"))
    assert made.status_code == 303
    page = browser.get(made.headers["location"]).text
    assert "The forecast is there." in page
    assert "MASE" in page
    assert page.count('class="chart-band-95"') == 2  # for wide and for narrow screens
    assert "unusual" in page  # 43 where about 103 was to be expected
    assert "Forecast again" in page


def test_series_is_chosen_and_texts_are_escaped(sales, browser):
    sales.run("INSERT INTO public.orders VALUES ('<b>x</b>', 5, 50)")
    sales.refresh()
    sales.snapshots.take("sales")
    page = browser.get(
        f"{PAGE}?{urlencode({'series': key('revenue', country='<b>x</b>'), 'points': '60'})}"
    ).text
    assert "revenue, country &lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page
    assert "revenue: country (none)" in page


@pytest.mark.parametrize(
    "wrong", ["x", "[]", '["revenue", 3]', '["revenue", {"a": 1}]', "[" * 5000, '{"a": 1}']
)
def test_what_names_no_series_is_told(sales, browser, wrong):
    sales.snapshots.take("sales")
    answer = browser.get(f"{PAGE}?{urlencode({'series': wrong})}", headers={"accept": "text/html"})
    assert answer.status_code == 422
    assert "hoose a series from the list" in answer.text


def test_a_series_that_is_not_there_is_not_found(sales, browser):
    sales.snapshots.take("sales")
    answer = browser.get(f"{PAGE}?{urlencode({'series': key('profit')})}", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "has no metric" in answer.text
    assert browser.get("/datasets/nowhere/history", headers={"accept": "text/html"}).status_code == 404


def test_refusal_of_a_snapshot_is_on_the_page(sales, studio, browser):
    measures = [{"name": "income", "fn": "sum", "of": "o.amount"}]
    sales.save(measures=measures, snapshot={"schedule": "0 * * * *", "metrics": ["income"]})  # not refreshed
    answer = send(studio, browser, "take")
    assert answer.status_code == 422
    assert "no column" in answer.text


def test_without_a_schedule_it_says_what_to_do(sales, browser):
    sales.save(snapshot=None)
    page = browser.get(PAGE).text
    assert "Give the dataset a snapshot" in page
    assert "Remember now" not in page


def test_stale_and_refused_rows_are_seen(sales, browser, monkeypatch):
    from dteg.snapshots import row_snapshots

    monkeypatch.setattr(row_snapshots, "MAX_ROWS", 1)
    sales.save(snapshot={"schedule": "0 * * * *", "rows": True})
    sales.refresh()
    sales.snapshots.take("sales")
    sales.later(hours=5)
    sales.snapshots.take("sales")
    page = browser.get(PAGE).text
    assert "too many" in page
    assert ">stale<" in page

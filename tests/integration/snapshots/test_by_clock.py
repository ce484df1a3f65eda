"""Forecasts that the studio makes after snapshots, where no Dagster does."""

import threading
from datetime import timedelta

import pytest

from dteg.core.errors import TransientError
from dteg.snapshots.forecasting.forecaster import PYTHON_VARIABLE, Forecaster
from dteg.snapshots.models import ForecastRunState, NewPoint
from studio.datasets.worker import DatasetsWorker
from studio.services import Services
from studio.snapshots.worker import ForecastsWorker
from tests.integration.snapshots.test_pages import PAGE

pytestmark = pytest.mark.integration


def fill(sales, count=60):
    past = [
        NewPoint(slot=sales.slot - timedelta(hours=n), value=100 + n * 7919 % 7) for n in range(1, count + 1)
    ]
    sales.snapshots.add("sales", "revenue", past)


@pytest.fixture
def worker(sales):
    services = Services(sales.project)
    services.__dict__["snapshots"] = sales.snapshots  # with the clock of the shop
    return ForecastsWorker(services)


def work(worker):
    worker.make_due(threading.Event())


def next_hour(sales):
    sales.later(hours=1)
    sales.refresh()
    sales.snapshots.take("sales")


def test_snapshot_of_the_studio_is_followed_by_a_forecast_once_a_day(sales, worker, models):
    assert sales.snapshots.forecasts_due() == []  # nothing was taken
    fill(sales)
    sales.snapshots.take("sales")
    work(worker)
    (made,) = [
        each for each in sales.snapshots.forecasts("sales") if each.metric == "revenue" and not each.by
    ]
    assert (made.last_slot, made.points[0].slot) == (sales.slot, sales.slot + timedelta(hours=1))
    run = sales.snapshots.forecast_run("sales")
    assert (run.state, run.last_slot, run.series) == (
        ForecastRunState.MADE if models.python else ForecastRunState.PLAIN,
        sales.slot,
        1,
    )
    assert sales.snapshots.forecasts_due() == []  # no newer snapshot
    sales.now = sales.now.replace(hour=0, minute=5) + timedelta(days=1)
    sales.refresh()
    sales.snapshots.take("sales")
    assert sales.snapshots.forecasts_due() == ["sales"]
    work(worker)
    next_hour(sales)
    assert sales.snapshots.forecasts_due() == []  # of this day there is one


def test_without_enough_points_it_is_tried_with_later_snapshots(sales, worker):
    sales.snapshots.take("sales")
    work(worker)
    run = sales.snapshots.forecast_run("sales")
    assert (run.state, run.series) == (ForecastRunState.NOT_ENOUGH_DATA, 0)
    assert "needs 8 points and there are 1" in run.message
    assert sales.snapshots.forecasts_due() == []
    next_hour(sales)
    sales.later(minutes=1)
    assert sales.snapshots.forecasts_due() == ["sales"]


def test_without_the_models_forecasts_are_plain_and_say_so(sales, worker, studio, monkeypatch):
    for module in ("dteg.snapshots.by_clock", "dteg.snapshots.forecasting.forecaster"):
        monkeypatch.setattr(f"{module}.find_python", lambda project=None: None)
    sales.snapshots._forecaster = Forecaster(None)
    fill(sales)
    sales.snapshots.take("sales")
    work(worker)
    run = sales.snapshots.forecast_run("sales")
    assert (run.state, run.series) == (ForecastRunState.PLAIN, 1)
    assert f"set {PYTHON_VARIABLE}" in run.message
    with studio.browser() as browser:
        assert "seasonal naive, as there is no environment with better models" in browser.get(PAGE).text
    assert studio.client.get("/snapshots/sales/forecast-run")["state"] == "plain"


def test_failure_is_shown_told_and_tried_again(sales, worker, studio, monkeypatch):
    def broken(*_):
        raise TransientError("the process that forecasts has ended; try again")

    fill(sales)
    sales.snapshots.take("sales")
    with monkeypatch.context() as patched:
        patched.setattr(type(sales.snapshots), "forecast_all", broken)
        work(worker)
    assert sales.snapshots.forecast_run("sales").state is ForecastRunState.FAILED
    with studio.browser() as browser:
        page = browser.get(PAGE).text
    assert "failed: the process that forecasts has ended" in page
    told = (
        "SELECT subject, state FROM _dteg.alert_occurrences WHERE subject LIKE 'forecasts of%%' ORDER BY id"
    )
    assert sales.run(told) == [("forecasts of sales", "firing")]
    assert sales.snapshots.forecasts_due() == []
    sales.later(hours=1, minutes=1)
    work(worker)
    assert sales.snapshots.forecast_run("sales").state is not ForecastRunState.FAILED
    assert sales.run(told)[-1] == ("forecasts of sales", "resolved")
    sales.snapshots.forget("sales")
    assert sales.snapshots.forecast_run("sales") is None


def test_the_studios_own_snapshot_leads_to_a_forecast(sales, worker, monkeypatch):
    fill(sales)
    sales.run("UPDATE _dteg.datasets SET saved_at = %s", sales.now - timedelta(hours=5))
    services = worker.services
    services.__dict__["datasets"] = sales.datasets
    monkeypatch.setattr("dteg.snapshots.service.Snapshots.of", lambda project: sales.snapshots)
    DatasetsWorker(services).start_due(sales.datasets)
    work(worker)
    assert sales.snapshots.forecast_run("sales").last_slot == sales.slot

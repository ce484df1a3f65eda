"""Charts of a metric's history: its points, its series, and what is expected."""

from datetime import UTC, datetime, timedelta

import pytest

from dteg.charts.models import ChartSpec
from dteg.charts.service import Charts
from dteg.core.errors import NotFoundError
from dteg.snapshots.models import Forecast, ForecastPoint, Point, Series

pytestmark = pytest.mark.integration
START = datetime(2026, 1, 1, tzinfo=UTC)


def points(count, step=1.0):
    return [Point(slot=START + timedelta(hours=n), value=n * step) for n in range(count)]


class Memory:
    """What `Snapshots` answers, without a history in the warehouse."""

    forecast_made = True

    @classmethod
    def of(cls, _project):
        return cls()

    def points(self, dataset, metric, by=None):
        if metric != "revenue":
            raise NotFoundError(f"there is no metric {metric!r}")
        return points(48, 2.0 if by else 1.0)

    def series(self, dataset, metric):
        each = [{}, {"country": "DE"}, {"country": None}]
        return [Series(dataset=dataset, metric=metric, by=by, points=48) for by in each]

    def forecasts(self, dataset, metric, by=None):
        if not self.forecast_made:
            return []
        ahead = [
            ForecastPoint(slot=START + timedelta(hours=48 + n), mean=50, lo80=40, hi80=60, lo95=30, hi95=70)
            for n in range(12)
        ]
        return [Forecast(dataset=dataset, metric=metric, by=by or {}, state="ok", made_at=START, model="AutoETS", mase=0.51, points=ahead)]  # fmt: skip


@pytest.fixture
def charts(studio_project, monkeypatch):
    monkeypatch.setattr("dteg.snapshots.service.Snapshots", Memory)
    return Charts.of(studio_project)


def saved(charts, type_="line", **source):
    values = {"chart": "history", "title": "History", "type": type_, "source": {"dataset": "sales", "metric": "revenue", **source}}  # fmt: skip
    charts.save(ChartSpec.model_validate(values), replace=True)
    return charts.drawing("history")


def test_history_is_a_line(charts):
    drawing = saved(charts)
    assert (len(drawing.rows), drawing.rows[1]["x"], drawing.rows[1]["y0"]) == (48, "2026-01-01T01:00:00Z", 1)
    assert drawing.spec["mark"]["type"] == "line"


def test_each_series_has_a_colour(charts):
    drawing = saved(charts, each=True)
    assert {row["c"] for row in drawing.rows} == {"DE", "(none)"}
    assert drawing.spec["encoding"]["color"]["field"] == "c"


def test_the_last_number_is_compared_with_the_one_before(charts):
    number = saved(charts, "number").data.number
    assert (number.value, number.before, number.direction) == (47, 46, "up")
    assert "2026-01-01" not in number.delta_text


def test_forecast_begins_where_history_ends(charts):
    drawing = saved(charts, "forecast")
    last = drawing.data.rows[47]
    assert (last["y0"], last["mean"], last["lo95"], last["hi95"]) == (47, 47, 47, 47)
    ahead = drawing.data.rows[48]
    assert (ahead["y0"], ahead["mean"], ahead["lo80"], ahead["hi95"]) == (None, 50, 40, 70)
    assert "0.51" in drawing.data.note
    assert [layer["mark"]["type"] for layer in drawing.spec["layer"]] == ["area", "area", "line", "line"]
    assert charts.png("history", 300, 200).startswith(b"\x89PNG")


def test_without_a_forecast_the_history_is_shown_and_it_is_said(charts, monkeypatch):
    monkeypatch.setattr(Memory, "forecast_made", False)
    drawing = saved(charts, "forecast")
    assert len(drawing.rows) == 48
    assert "No forecast yet" in drawing.data.note


def test_a_metric_that_is_not_there(charts):
    charts.save(ChartSpec.model_validate({"chart": "x", "title": "X", "type": "line", "source": {"dataset": "sales", "metric": "nothing"}}))  # fmt: skip
    with pytest.raises(NotFoundError, match="no metric 'nothing'"):
        charts.data("x")


def test_the_same_with_a_real_history_and_forecast(studio_project, postgres_url):
    import psycopg

    from dteg.datasets.service import Datasets
    from dteg.datasets.spec import spec_of
    from dteg.snapshots.models import NewPoint
    from dteg.snapshots.service import Snapshots

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.orders AS SELECT 'DE' AS country, 5.0 AS amount"
        )
    spec = {
        "dataset": "sales", "sources": {"o": {"source": "warehouse", "schema": "raw", "table": "orders"}},
        "group_by": [{"name": "country", "from": "o.country"}],
        "measures": [{"name": "revenue", "fn": "sum", "of": "o.amount"}],
        "snapshot": {"schedule": "0 0 * * *", "by": ["country"]},
    }  # fmt: skip
    datasets, snapshots = Datasets.of(studio_project), Snapshots.of(studio_project)
    datasets.save(spec_of(spec))
    datasets.refresh("sales")
    past = [
        NewPoint(slot=datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=n), value=100 + n % 7)
        for n in range(60)
    ]
    snapshots.add("sales", "revenue", past)
    snapshots.add("sales", "revenue", past, {"country": "DE"})
    charts = Charts.of(studio_project)
    drawing = saved(charts)
    assert (len(drawing.rows), drawing.rows[-1]["y0"]) == (60, past[-1].value)
    assert {row["c"] for row in saved(charts, each=True).rows} == {"DE"}
    assert len(saved(charts, by={"country": "DE"}).rows) == 60
    assert "No forecast yet" in saved(charts, "forecast").data.note
    try:
        made = snapshots.forecast("sales", "revenue")
    finally:
        snapshots.close()
    drawing = saved(charts, "forecast")
    assert len(drawing.rows) == 60 + len(made.points)
    assert drawing.rows[-1]["mean"] == pytest.approx(made.points[-1].mean)
    assert made.model in drawing.data.note

"""The same suite for snapshots here and through a studio."""

from datetime import timedelta

import pytest

from dteg.core.errors import ConfigError, DeniedError, InputError, NotFoundError
from dteg.snapshots.models import Direction, ForecastState, NewPoint
from dteg.snapshots.remote import RemoteSnapshots

pytestmark = pytest.mark.integration


@pytest.fixture(params=["library", "studio"])
def snapshots(request, sales):
    """A service: here, or through a studio over the same project."""
    if request.param == "library":
        return sales.snapshots
    running = request.getfixturevalue("studio")
    running.services.__dict__["snapshots"] = sales.snapshots  # with the clock of the shop
    return RemoteSnapshots(running.client)


def hourly(sales, count=48):
    """Points of a metric that rises and has a season of a day, in hours."""
    return [
        NewPoint(
            slot=sales.slot - timedelta(hours=count - n), value=100 + n + 20 * (n % 24 > 12) + n * 7919 % 5
        )
        for n in range(count)
    ]


def test_points_trend_and_forecast(snapshots, sales):
    few = snapshots.add("sales", "revenue", hourly(sales, 72)[:5])
    assert (few.points, few.by) == (5, {})
    early = snapshots.forecast("sales", "revenue")
    assert (early.state, early.missing, early.points) == (ForecastState.NOT_ENOUGH_DATA, 3, [])
    snapshots.add("sales", "revenue", hourly(sales, 72))
    trend = snapshots.trend("sales", "revenue")
    assert (trend.direction, trend.season, trend.gaps, trend.points) == (Direction.RISING, 24, 0, 72)
    assert 0.9 < trend.slope < 1.1
    made = snapshots.forecast("sales", "revenue", horizon=6)
    assert (made.state, made.horizon, made.season, len(made.points)) == (ForecastState.OK, 6, 24, 6)
    assert made.points[0].slot == sales.slot
    assert made.points[0].lo95 <= made.points[0].lo80 <= made.points[0].mean <= made.points[0].hi80
    assert made.mase is not None
    assert snapshots.forecast("sales", "revenue", horizon=6) == made
    assert snapshots.forecast("sales", "revenue", horizon=6, fresh=True).made_at >= made.made_at
    (kept,) = snapshots.forecasts("sales", "revenue")
    assert kept.points == made.points
    assert snapshots.forecasts("sales", "revenue", {}) == snapshots.forecasts("sales")


def test_series_with_values_that_need_care(snapshots, sales):
    sales.run("INSERT INTO public.orders VALUES ('a=b&c ''\"', 5, 50), ('', 6, 60)")
    sales.refresh()
    snapshots.take("sales")
    for country, value in (("a=b&c '\"", 50.0), ("", 60.0), (None, 1.0), ("KZ", 35.0)):
        (point,) = snapshots.points("sales", "revenue", {"country": country})
        assert point.value == value
    assert [each.by for each in snapshots.series("sales", "revenue")][:2] == [{}, {"country": ""}]


def test_take_and_what_was_taken(snapshots, sales):
    taken = snapshots.take("sales", sales.slot)
    assert (taken.slot, taken.points, taken.again) == (sales.slot, 11, False)
    assert snapshots.take("sales").again
    (known,) = snapshots.takes("sales")
    assert known.slot == sales.slot
    assert snapshots.row_snapshots("sales") == []
    assert [each.name for each in snapshots.metrics("sales")] == ["revenue", "buyers", "rows"]
    assert snapshots.prune().points == 0
    snapshots.forget("sales")
    assert snapshots.takes("sales") == snapshots.series("sales") == []


def test_all_series_in_one_go(snapshots, sales):
    snapshots.take("sales")
    snapshots.add("sales", "rows", hourly(sales), {"country": "KZ"})
    found = {(each.metric, each.by.get("country", "all")): each for each in snapshots.forecast_all("sales")}
    assert len(found) == 11
    assert found["rows", "KZ"].state is ForecastState.OK
    assert found["revenue", "all"].state is ForecastState.NOT_ENOUGH_DATA


def test_refusals_are_the_same_errors(snapshots, sales):
    snapshots.take("sales")
    with pytest.raises(NotFoundError, match='did you mean "revenue"'):
        snapshots.points("sales", "revenu")
    with pytest.raises(NotFoundError, match="country=KZ"):
        snapshots.trend("sales", "buyers")
    with pytest.raises(NotFoundError, match="dteg snapshot take nothing"):
        snapshots.forecast("nothing", "rows")
    with pytest.raises(InputError, match="has not come yet"):
        snapshots.take("sales", sales.slot + timedelta(hours=3))
    with pytest.raises(ConfigError, match="no metric 'profit'"):
        snapshots.add("sales", "profit", hourly(sales))
    with pytest.raises(ConfigError, match="kept by country"):
        snapshots.add("sales", "revenue", hourly(sales), {"city": "Almaty"})
    with pytest.raises(InputError, match="future"):
        snapshots.add("sales", "revenue", [NewPoint(slot=sales.now + timedelta(days=1), value=1)])


def test_who_may_only_look_changes_nothing(sales, studio):
    reader = RemoteSnapshots(studio.client_of("read"))
    assert reader.takes("sales") == []
    for call in (
        lambda: reader.take("sales"), lambda: reader.forecast_all("sales"), lambda: reader.forget("sales"), reader.prune,
        lambda: reader.add("sales", "revenue", hourly(sales)),
    ):  # fmt: skip
        with pytest.raises(DeniedError):
            call()

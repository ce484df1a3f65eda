from datetime import UTC, datetime, timedelta

import pytest

from dteg.snapshots.forecasting.naive import naive_forecast
from dteg.snapshots.forecasts import forecast_of, not_enough, prepare
from dteg.snapshots.models import ForecastState, Point
from dteg.snapshots.slots import Clockwork
from dteg.snapshots.wording import forecast_words

START = datetime(2026, 1, 5, tzinfo=UTC)
DAILY = Clockwork("0 0 * * *")


def daily(values, stale=()):
    return [
        Point(slot=START + timedelta(days=n), value=float(value), stale=n in stale)
        for n, value in enumerate(values)
        if value is not None
    ]


def test_fewer_than_eight_points_are_a_state():
    prepared = prepare(daily([1, 2, 3]), DAILY, None)
    assert prepared.order is None
    made = not_enough("sales", "revenue", {}, prepared, START)
    assert (made.state, made.missing, made.points) == (ForecastState.NOT_ENOUGH_DATA, 5, [])
    assert "5 more, about 5 days" in made.message
    assert prepare([], DAILY, None).order is None


def test_horizon_and_season_are_those_of_the_schedule():
    prepared = prepare(daily(range(30)), DAILY, None)
    assert (prepared.order.season, prepared.order.horizon) == (7, 14)
    assert prepared.slots[0] == START + timedelta(days=30)
    assert prepare(daily(range(30)), DAILY, 3).slots == [START + timedelta(days=30 + n) for n in range(3)]


def test_small_gaps_and_stale_points_are_filled():
    prepared = prepare(daily([0, 1, None, None, 4, 5, 600, 7, 8, 9, 10], stale={6}), DAILY, None)
    assert prepared.order.values == pytest.approx([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert (prepared.observations, prepared.filled) == (8, 3)


def test_what_lies_before_a_long_gap_is_left_out():
    prepared = prepare(daily([500] * 10 + [None] * 9 + list(range(12))), DAILY, None)
    assert prepared.order.values == [float(n) for n in range(12)]


def test_a_stale_last_point_is_forecast_over():
    prepared = prepare(daily(range(20), stale={19}), DAILY, None)
    assert prepared.last == START + timedelta(days=18)
    assert prepared.slots[0] == START + timedelta(days=19)


def test_series_without_a_schedule_go_on_in_even_steps():
    points = [Point(slot=START + timedelta(minutes=10 * n), value=float(n)) for n in range(20)]
    prepared = prepare(points, None, 2)
    assert prepared.slots == [START + timedelta(minutes=200), START + timedelta(minutes=210)]


def test_a_count_is_never_below_zero():
    values = [0, 9, 0, 12, 1, 0, 8, 0, 15, 0, 2, 0]
    prepared = prepare(daily(values), DAILY, 5)
    made = forecast_of("s", "m", {}, prepared, naive_forecast(*prepared.order), START, is_plain=True)
    assert min(point.lo95 for point in made.points) == 0.0
    assert "statsforecast" in made.message
    below = prepare(daily([value - 20 for value in values]), DAILY, 5)
    made = forecast_of("s", "m", {}, below, naive_forecast(*below.order), START, is_plain=False)
    assert made.points[0].lo95 < 0
    assert made.message == ""


def test_words_name_model_band_and_error():
    prepared = prepare(daily([10 + n % 7 + (n * 7919) % 3 for n in range(60)]), DAILY, None)
    made = forecast_of("s", "m", {}, prepared, naive_forecast(*prepared.order), START, is_plain=False)
    words = forecast_words(made)
    assert "80 % probability" in words
    assert "Model: seasonal naive" in words
    assert "MASE" in words


def test_a_value_that_stands_far_out_alone_is_not_learnt_from():
    values = [100 + n % 7 + (n * 7919) % 3 for n in range(60)]
    values[40] = 500
    prepared = prepare(daily(values), DAILY, 7)
    assert prepared.left_out == 1
    assert 95 < prepared.order.values[40] < 115
    made = forecast_of("s", "m", {}, prepared, naive_forecast(*prepared.order), START, is_plain=False)
    assert made.message == "1 value that stands far out alone was not learnt from."
    # Two in a row, or one at the end, may be a new level.
    values[41] = 500
    assert prepare(daily(values), DAILY, 7).left_out == 0
    assert prepare(daily([*values[:40], 500]), DAILY, 7).left_out == 0

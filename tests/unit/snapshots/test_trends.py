from datetime import UTC, datetime, timedelta

from dteg.snapshots.models import Direction, Point
from dteg.snapshots.slots import Clockwork
from dteg.snapshots.trends import lay, trend_of

START = datetime(2026, 1, 1, tzinfo=UTC)
DAILY = Clockwork("0 0 * * *")


def daily(values, start=START):
    return [
        Point(slot=start + timedelta(days=n), value=float(value))
        for n, value in enumerate(values)
        if value is not None
    ]


def make_trend(points, clockwork=DAILY):
    return trend_of("sales", "revenue", {}, points, clockwork)


def test_changes_are_to_the_time_before_the_week_and_the_year():
    trend = make_trend(daily(range(100, 500)))
    assert (trend.previous.delta, trend.previous.percent) == (1.0, 100 / 498)
    assert trend.week.value == 492.0
    assert trend.week.slot == trend.last.slot - timedelta(days=7)
    assert (trend.year.value, trend.year.delta) == (134.0, 365.0)
    assert (trend.mean_7, trend.mean_28) == (496.0, 485.5)


def test_a_rise_is_said_so():
    trend = make_trend(daily(50 + 2 * n + (n * 7919) % 5 for n in range(60)))
    assert trend.direction is Direction.RISING
    assert 1.9 < trend.slope < 2.1
    assert trend.slope_per_day == trend.slope
    assert "Rising by about 2" in trend.words
    assert "each day" in trend.words


def test_noise_has_no_direction():
    trend = make_trend(daily((n * 7919) % 101 for n in range(60)))
    assert trend.direction is Direction.STEADY
    assert "could be chance" in trend.words


def test_few_points_have_no_trend():
    trend = make_trend(daily([1, 2, 3]))
    assert (trend.direction, trend.slope, trend.p_value) == (Direction.UNKNOWN, None, None)
    assert "Too few points" in trend.words
    assert make_trend([]).words == "There are no points yet."


def test_planned_times_without_points_are_gaps():
    trend = make_trend(daily([5, 6, None, 5, None, None, 6, 5]))
    assert trend.gaps == 3
    assert "3 planned times have no point" in trend.words


def test_stale_points_are_shown_but_do_not_count():
    points = daily([10] * 20)
    points[10] = Point(slot=points[10].slot, value=900.0, stale=True)
    trend = make_trend(points)
    assert (trend.points, trend.gaps, trend.mean_28) == (20, 0, 10.0)
    assert trend.anomalies == []


def test_an_unusual_value_is_found_where_it_is():
    values = [100 + (n * 7919) % 7 for n in range(60)]
    values[50] = 180
    (found,) = [each for each in make_trend(daily(values)).anomalies if each.extreme]
    assert found.slot == START + timedelta(days=50)
    assert (found.value, found.low < 102 < found.high) == (180.0, True)


def test_a_zero_before_has_no_percent():
    assert make_trend(daily([0, 5])).previous.percent is None


def test_points_off_the_schedule_are_laid_on_their_own_times():
    points = [Point(slot=START + timedelta(minutes=7, days=n), value=float(n)) for n in range(20)]
    grid = lay(points, DAILY)
    assert grid.slots == [point.slot for point in points]


def test_thinned_out_past_is_left_out_of_the_grid():
    old = daily(range(100), START)
    new = [Point(slot=START + timedelta(days=100, hours=n), value=float(n)) for n in range(100)]
    grid = lay(old + new, Clockwork("0 * * * *"), most=100)
    assert len(grid.slots) == 100
    assert grid.gaps == 0


def test_a_schedule_by_the_clock_has_no_gap_where_clocks_jump():
    seoul = Clockwork("30 1 * * *", "Europe/Paris")
    slots = seoul.between(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC))
    assert make_trend([Point(slot=slot, value=1.0) for slot in slots], seoul).gaps == 0

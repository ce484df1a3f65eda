"""What the points of a series say: how the last one differs, where it goes, and what was unusual."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from dteg.snapshots.expectation import expectations
from dteg.snapshots.models import Anomaly, Change, Dims, Direction, Point, Trend
from dteg.snapshots.robust import MAX_POINTS, mann_kendall, theil_sen
from dteg.snapshots.slots import Clockwork, nearest, same_time, season_of, season_of_schedule, step_of
from dteg.snapshots.wording import trend_words

SIGNIFICANT = 0.05
MIN_TREND_POINTS = 8
_DAY = 86_400.0


@dataclass(frozen=True)
class Grid:
    """Points laid on the planned times between the first and the last of them.

    Attributes:
        slots: Planned times.
        values: None where there is no point, or only a stale one.
        season: Points of one period.
        step_s: Usual time between two.
        gaps: Planned times without any point.
    """

    slots: list[datetime]
    values: list[float | None]
    season: int
    step_s: float | None
    gaps: int = field(default=0)


def lay(points: Sequence[Point], clockwork: Clockwork | None, most: int = MAX_POINTS) -> Grid:
    """Lay the last points on the times of a schedule; without one, on the times they have.

    Args:
        points: Oldest first.
        clockwork: The schedule.
        most: Planned times at the most; what lies before is left out. Where old points were thinned out to one a day,
            that leaves out most of them, too.
    """
    points = points[-most:]
    if not points:
        return Grid([], [], 1, None)
    times = [point.slot for point in points]
    if clockwork is None or len(points) < 2:
        season = season_of(times) if clockwork is None else season_of_schedule(clockwork, times[-1])
        step = step_of(times) or (step_of(clockwork.after(times[-1], 15)) if clockwork else None)
        return Grid(times, [_usable(point) for point in points], season, step)
    ahead = clockwork.after(times[-1], 15)
    step = step_of(ahead) or step_of(times) or _DAY
    start = max(times[0], times[-1] - timedelta(seconds=1.6 * most * step))
    planned = clockwork.between(start - timedelta(seconds=1), times[-1], most=20 * most)[-most:]
    there = {point.slot: point for point in points}
    if not any(
        slot in there for slot in planned
    ):  # the points come from elsewhere, or the schedule is another one now
        return lay(points, None, most)
    found = [there.get(slot) for slot in planned]
    while found and found[0] is None:
        del found[0], planned[0]
    gaps = sum(point is None for point in found)
    values = [None if point is None else _usable(point) for point in found]
    return Grid(planned, values, season_of_schedule(clockwork, times[-1]), step, gaps)


def trend_of(
    dataset: str, metric: str, by: Dims, points: Sequence[Point], clockwork: Clockwork | None
) -> Trend:
    """Return what points say.

    Args:
        dataset: Slug of the dataset.
        metric: Name of the metric.
        by: Which series.
        points: Oldest first; also older ones than statistics look at, for the comparison with a year ago.
        clockwork: Their schedule, for gaps and seasons; None if there is none.
    """
    if not points:
        return Trend(dataset=dataset, metric=metric, by=by, points=0, words="There are no points yet.")
    grid = lay(points, clockwork)
    zone = clockwork.timezone if clockwork else "UTC"
    last = points[-1]
    step = grid.step_s or _DAY
    values = [value for value in grid.values if value is not None]
    season = grid.season if len(values) >= 2 * grid.season + 2 else 1
    enough = len(values) >= MIN_TREND_POINTS
    p_value = mann_kendall(grid.values, season) if enough else None
    slope = theil_sen(grid.values, season) if enough else None
    found = Trend(
        dataset=dataset, metric=metric, by=by, points=len(points), words="", last=last,
        previous=_change(last, points[-2]) if len(points) > 1 else None,
        week=_before(points, same_time(last.slot, zone, days=7), step) if step <= 4 * _DAY else None,
        year=_before(points, _year_before(last.slot, zone, step), step),
        mean_7=_mean(values[-7:]), mean_28=_mean(values[-28:]), direction=_direction(slope, p_value), slope=slope,
        slope_per_day=None if slope is None else slope * _DAY / step, p_value=p_value, volatility=_volatility(values),
        season=grid.season, step_s=grid.step_s, gaps=grid.gaps, anomalies=_anomalies(grid),
    )  # fmt: skip
    return found.model_copy(update={"words": trend_words(found)})


def _usable(point: Point) -> float | None:
    return None if point.stale else point.value


def _year_before(slot: datetime, zone: str, step_s: float) -> datetime:
    # 52 weeks keep the weekday, which matters more to a weekly series than the date.
    return (
        same_time(slot, zone, days=364) if 4 * _DAY < step_s < 10 * _DAY else same_time(slot, zone, years=1)
    )


def _before(points: Sequence[Point], wanted: datetime, step_s: float) -> Change | None:
    slots = [point.slot for point in points]
    place = nearest(slots[:-1], wanted, min(step_s / 2, 4 * _DAY))
    return None if place is None else _change(points[-1], points[place])


def _change(last: Point, earlier: Point) -> Change:
    delta = last.value - earlier.value
    percent = 100 * delta / abs(earlier.value) if earlier.value else None
    return Change(slot=earlier.slot, value=earlier.value, delta=delta, percent=percent)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _direction(slope: float | None, p_value: float | None) -> Direction:
    if slope is None or p_value is None:
        return Direction.UNKNOWN
    if p_value >= SIGNIFICANT or slope == 0:
        return Direction.STEADY
    return Direction.RISING if slope > 0 else Direction.FALLING


def _volatility(values: Sequence[float]) -> float | None:
    size = statistics.fmean(abs(value) for value in values) if values else 0.0
    if len(values) < 3 or size == 0:
        return None
    return statistics.pstdev([b - a for a, b in pairwise(values)]) / size


def _anomalies(grid: Grid) -> list[Anomaly]:
    found = []
    for each in expectations(grid.values, grid.season):
        value = grid.values[each.place]
        if each.unusual and value is not None:
            found.append(
                Anomaly(
                    slot=grid.slots[each.place], value=value, expected=each.value, low=each.value - each.half_95,
                    high=each.value + each.half_95, extreme=each.extreme,
                )
            )  # fmt: skip
    return found

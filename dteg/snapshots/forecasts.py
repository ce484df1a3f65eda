"""From points to an even series that a model can read, and from what it says to a forecast."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dteg.snapshots.expectation import expectations
from dteg.snapshots.forecasting.forecaster import HOW_TO_GET, Order
from dteg.snapshots.forecasting.naive import MIN_POINTS
from dteg.snapshots.models import Dims, Forecast, ForecastPoint, ForecastState, Point
from dteg.snapshots.slots import Clockwork, even, horizon_of
from dteg.snapshots.trends import lay
from dteg.snapshots.wording import step_words

# More of the past makes models slower, seldom better: the benchmark's series have 240 points at the most.
MAX_LEARNT = 300
MAX_SEASONS = 4
# Beyond a whole period without points it is another story that begins.
_LONGEST_GAP = 7
# One value that stands so far out, alone, is a mistake or a strange day: it would come again in each period of the forecast.
# On the benchmark's series this changes 4 of 80, and the error by less than 1 % either way.
_FAR_SIGMAS = 6.0
_ENDS = ("mean", "lo80", "hi80", "lo95", "hi95")


@dataclass(frozen=True)
class Prepared:
    """An even series.

    Attributes:
        order: What the model is asked; None if there are too few points.
        slots: The times ahead.
        last: Time of the last value.
        observations: Points that are there.
        filled: Gaps that were filled.
        left_out: Values that stood alone far out; what was expected takes their place.
        season: Points of one period.
        step_s: Usual time between two points.
        is_positive: Whether no value is below 0.
    """

    order: Order | None
    slots: list[datetime]
    last: datetime | None
    observations: int
    filled: int
    left_out: int
    season: int
    step_s: float | None
    is_positive: bool


def prepare(points: Sequence[Point], clockwork: Clockwork | None, horizon: int | None) -> Prepared:
    """Lay points on an even grid, without stale ones, and fill small gaps.

    Args:
        points: Oldest first.
        clockwork: Their schedule; None if they come at even times without one.
        horizon: Times ahead; None: what suits the schedule.
    """
    usable = [point for point in points if not point.stale]
    grid = lay(usable, clockwork, MAX_LEARNT)
    if grid.season * MAX_SEASONS > MAX_LEARNT:
        grid = lay(usable, clockwork, grid.season * MAX_SEASONS)
    values = _last_part(grid.values, max(grid.season, _LONGEST_GAP))
    there = sum(value is not None for value in values)
    ahead = horizon or horizon_of(grid.step_s, grid.season)
    last = grid.slots[-1] if grid.slots else None
    if last is None or there < MIN_POINTS:
        return Prepared(None, [], last, there, 0, 0, grid.season, grid.step_s, is_positive=False)
    left_out = _without_far(values, grid.season)
    filled = _filled(values)
    planned = clockwork is not None and clockwork.is_planned(last)
    slots = (
        clockwork.after(last, ahead) if clockwork and planned else even(last, grid.step_s or 86_400.0, ahead)
    )
    order = Order(filled, grid.season, len(slots))
    return Prepared(
        order,
        slots,
        last,
        there,
        len(filled) - there,
        left_out,
        grid.season,
        grid.step_s,
        is_positive=min(filled) >= 0,
    )


def not_enough(dataset: str, metric: str, by: Dims, prepared: Prepared, made_at: datetime) -> Forecast:
    """Return what is said while there are too few points."""
    missing = MIN_POINTS - prepared.observations
    soon = f", about {step_words(prepared.step_s, missing)} of its schedule" if prepared.step_s else ""
    return Forecast(
        dataset=dataset, metric=metric, by=by, state=ForecastState.NOT_ENOUGH_DATA, made_at=made_at,
        message=f"A forecast needs {MIN_POINTS} points and there are {prepared.observations}: {missing} more{soon}.",
        missing=missing, last_slot=prepared.last, observations=prepared.observations, season=prepared.season,
    )  # fmt: skip


def forecast_of(  # noqa: PLR0917 - what belongs to one series
    dataset: str,
    metric: str,
    by: Dims,
    prepared: Prepared,
    result: dict[str, Any],
    made_at: datetime,
    *,
    is_plain: bool,
) -> Forecast:
    """Return the forecast that a model's answer means.

    Args:
        dataset: Slug of the dataset.
        metric: Name of the metric.
        by: Which series.
        prepared: What the model was asked.
        result: Its answer.
        made_at: Now.
        is_plain: Whether there is no better model than the seasonal naive one here.
    """
    # What was never below 0, such as a count, will not be in the future.
    floor = 0.0 if prepared.is_positive else float("-inf")
    parts = {name: [max(float(value), floor) for value in result[name]] for name in _ENDS}
    points = [
        ForecastPoint(slot=slot, **{name: parts[name][place] for name in _ENDS})
        for place, slot in enumerate(prepared.slots)
    ]
    notes = []
    if prepared.left_out:
        several = prepared.left_out > 1
        notes.append(
            f"{prepared.left_out} {'values that stand' if several else 'value that stands'} far out alone {'were' if several else 'was'} not learnt from."
        )
    if result.get("problem"):
        notes.append(f"The better model failed ({result['problem']}).")
    if is_plain:
        notes.append(f"Better models need statsforecast: {HOW_TO_GET}.")
    return Forecast(
        dataset=dataset, metric=metric, by=by, state=ForecastState.OK, made_at=made_at, last_slot=prepared.last,
        message=" ".join(notes), observations=prepared.observations, filled=prepared.filled, horizon=len(points),
        season=prepared.season, model=result["model"], mase=result["mase"], naive_mase=result["naive_mase"],
        coverage_80=result["coverage_80"], windows=result["windows"], calibration=result["calibration"], points=points,
    )  # fmt: skip


def _last_part(values: Sequence[float | None], longest: int) -> list[float | None]:
    """Return the values after the last gap that is longer than may be filled."""
    missing = 0
    for place in range(len(values) - 1, -1, -1):
        missing = missing + 1 if values[place] is None else 0
        if missing > longest:
            return list(values[place + missing :])
    return list(values)


def _without_far(values: list[float | None], season: int) -> int:
    """Put what was expected in the place of values that stand alone far out; return of how many.

    The last two stay: they may be the beginning of something new.
    """
    judged = {each.place: each for each in expectations(values, season) if each.extreme}
    far = [
        each
        for place, each in judged.items()
        if each.sigmas > _FAR_SIGMAS
        and place < len(values) - 2
        and not {place - 1, place + 1} & judged.keys()
    ]
    for each in far:
        values[each.place] = each.value
    return len(far)


def _filled(values: Sequence[float | None]) -> list[float]:
    """Fill gaps by a straight line between their ends; none is at the beginning or end."""
    found: list[float] = []
    for place, value in enumerate(values):
        if value is not None:
            found.append(value)
            continue
        after = next(n for n in range(place, len(values)) if values[n] is not None)
        end = values[after]
        assert end is not None
        found.append(found[-1] + (end - found[-1]) / (after - place + 1))
    return found

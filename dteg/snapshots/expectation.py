"""What one value lets expect of the next: intervals for finding unusual values, in plain Python and one pass.

A level and an additive season are carried on by exponential smoothing; a value far outside moves them little. The width
of the interval comes from the median of the errors so far, so that a few outliers do not hide the next one.
"""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

_LEVEL, _SEASONAL = 0.3, 0.3
MIN_ERRORS = 8
_WINDOW = 60
# Beyond so many (roughly estimated) standard deviations a value no longer pulls the level along.
_CLIP = 3.0
Z95, Z999 = 1.96, 3.29
_MAD_TO_SIGMA = 1.4826
# With a handful of errors the estimate of their spread is itself uncertain, as for Student's t.
_SMALL_SAMPLE = 3.0
# A series that never moved has no spread: half a percent of it is let pass.
_FLOOR = 0.005


class Expected(NamedTuple):
    """What was expected of one value.

    Attributes:
        place: Its place in the series.
        value: Expectation.
        half_95: Half of the width of the 95 % interval.
        unusual: Whether the value lies outside of the 95 % interval.
        extreme: Whether it lies outside of the 99.9 % interval.
        sigmas: How far away it is, in standard deviations.
    """

    place: int
    value: float
    half_95: float
    unusual: bool
    extreme: bool
    sigmas: float


def expectations(values: Sequence[float | None], season: int, *, last: int | None = None) -> list[Expected]:
    """Return what was expected of each value, one step before, where enough was known by then.

    Args:
        values: On the grid of planned times, oldest first; None for a gap.
        season: Points of one period; 1 for none.
        last: Only of so many values at the end; saves time.
    """
    known = [value for value in values if value is not None]
    if len(known) <= MIN_ERRORS:
        return []
    if season < 2 or len(known) < 2 * season + MIN_ERRORS:
        season = 1
    forecasts = _walk(values, season)
    found: list[Expected] = []
    errors: list[float] = []
    first = 0 if last is None else len(values) - last
    for place, (value, forecast) in enumerate(zip(values, forecasts, strict=True)):
        if value is None or forecast is None:
            continue
        if place >= first and len(errors) >= MIN_ERRORS:
            found.append(_judged(place, value, forecast, errors[-_WINDOW:]))
        errors.append(value - forecast)
    return found


def _judged(place: int, value: float, forecast: float, errors: Sequence[float]) -> Expected:
    middle = statistics.median(errors)
    deviations = [abs(error - middle) for error in errors]
    # Series that mostly stand still have a median of 0; the mean then still knows that they move at times.
    sigma = max(
        _MAD_TO_SIGMA * statistics.median(deviations),
        0.6 * 1.2533 * sum(deviations) / len(deviations),
    )
    expected = forecast + middle
    sigma = max(sigma * (1 + _SMALL_SAMPLE / len(errors)), _FLOOR * abs(expected), 1e-12)
    away = abs(value - expected)
    return Expected(place, expected, Z95 * sigma, away > Z95 * sigma, away > Z999 * sigma, away / sigma)


def _walk(values: Sequence[float | None], season: int) -> list[float | None]:
    """Return the forecast of each value from those before it; None for the first period."""
    begin = [value for value in values[: max(season, 3)] if value is not None]
    level = statistics.median(begin) if begin else 0.0
    seasonal = [0.0] * season
    if season > 1:
        seasonal = [0.0 if value is None else value - level for value in values[:season]]
    forecasts: list[float | None] = []
    spread = 0.0
    for place, value in enumerate(values):
        phase = place % season
        forecast = level + seasonal[phase]
        warm = place >= season if season > 1 else place >= 1
        forecasts.append(forecast if warm else None)
        if value is None or not warm:
            continue
        error = value - forecast
        # A series that stood still has no spread yet; its first move must not be taken for its new way.
        most = _CLIP * max(spread, _FLOOR * abs(forecast))
        clipped = max(-most, min(most, error)) if place > season + MIN_ERRORS else error
        # 1.25 times the mean absolute error is about a standard deviation. Half of an outlier counts, so that a new level
        # is believed after a few values.
        size = 1.25 * max(abs(clipped), abs(error) / 2)
        spread += 0.1 * (size - spread) if spread else size
        level += _LEVEL * clipped
        if season > 1:
            seasonal[phase] += _SEASONAL * (1 - _LEVEL) * clipped
    return forecasts

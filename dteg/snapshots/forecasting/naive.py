"""The seasonal naive forecast with bands from its own past errors, in plain Python.

It is what there is without the extra `forecast`, and what every other model has to beat. This file is read by the
worker too, whose environment has no dteg: it imports nothing but the standard library.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

MIN_POINTS = 8
WINDOWS = 3
LEVELS = (80, 95)
_Z = {80: 1.2816, 95: 1.96}
# From so many errors on their own quantiles are the band; below, the normal distribution helps out.
_QUANTILE_ERRORS = {80: 20, 95: 60}


def is_seasonal(count: int, season: int) -> bool:
    """Return whether a season can be learnt: it was seen twice."""
    return season > 1 and count >= 2 * season


def seasonal_naive(values: Sequence[float], season: int, horizon: int) -> dict[str, Any]:
    """Return the value of the same phase of the last period as the forecast, with 80 and 95 % bands.

    The band of a time k periods ahead comes from how wrong the values k periods before were, in the same series.

    Args:
        values: Evenly spaced, without gaps, oldest first.
        season: Points of one period; 1 repeats the last value.
        horizon: Times ahead.
    """
    result: dict[str, Any] = {"mean": [], **{f"{end}{level}": [] for level in LEVELS for end in ("lo", "hi")}}
    for ahead in range(1, horizon + 1):
        periods = -(-ahead // season)
        mean = values[len(values) - season + (ahead - 1) % season]
        result["mean"].append(mean)
        # With a period of 1 the error grows with each step; else it is the same within a period.
        errors = _errors(values, periods * season)
        for level in LEVELS:
            half = half_width(errors, level)
            if len(errors) < 4:  # too far ahead for its own past: errors of one period, as of a random walk
                half = half_width(_errors(values, season), level) * math.sqrt(periods)
            result[f"lo{level}"].append(mean - half)
            result[f"hi{level}"].append(mean + half)
    return result


def half_width(errors: Sequence[float], level: int) -> float:
    """Return half of the width of a band that holds `level` percent of errors like these, one more included."""
    if not errors:
        return 0.0
    sizes = sorted(abs(error) for error in errors)
    if len(sizes) >= _QUANTILE_ERRORS[level]:
        place = math.ceil((len(sizes) + 1) * level / 100) - 1
        return sizes[min(place, len(sizes) - 1)]
    sigma = math.sqrt(statistics.fmean(size * size for size in sizes))
    return _Z[level] * sigma * (1 + 1.5 / len(sizes))


def windows_of(count: int, season: int, horizon: int) -> tuple[list[int], int]:
    """Return where a rolling backtest begins to forecast, and how far: as often as enough is left to learn from.

    Args:
        count: Points there are.
        season: Points of one period, 1 if none can be learnt.
        horizon: Times ahead that are wanted.
    """
    least = max(2 * season + 1, MIN_POINTS)
    for windows in range(WINDOWS, 0, -1):
        ahead = min(horizon, (count - least) // windows)
        if ahead >= min(horizon, 2) or (windows == 1 and ahead >= 1):
            return [count - ahead * number for number in range(windows, 0, -1)], ahead
    return [], 0


def scale_of(values: Sequence[float], season: int) -> float:
    """Return the mean absolute error of the seasonal naive forecast within the series: the unit of MASE."""
    errors = _errors(values, season)
    return statistics.fmean(abs(error) for error in errors) if errors else 0.0


class Backtest:
    """Errors of a model at several times of the past.

    Args:
        values: The series.
        season: Points of one period, 1 if none can be learnt.
        horizon: Times ahead.
    """

    def __init__(self, values: Sequence[float], season: int, horizon: int) -> None:
        self.origins, self.ahead = windows_of(len(values), season, horizon)
        self._values, self._season = values, season

    def run(self, model: Callable[[Sequence[float]], dict[str, Any]]) -> dict[str, Any]:
        """Return mase, coverage of the 80 % band, and sizes of errors in units of half of that band.

        Args:
            model: Makes a forecast of `ahead` times from a beginning of the series.
        """
        sizes: list[float] = []
        ratios: list[float] = []
        for origin in self.origins:
            train = self._values[:origin]
            made = model(train)
            scale = scale_of(train, self._season) or None
            for number, value in enumerate(self._values[origin : origin + self.ahead]):
                error = abs(value - made["mean"][number])
                half = (made["hi80"][number] - made["lo80"][number]) / 2
                if scale is not None:
                    sizes.append(error / scale)
                ratios.append(error / half if half > 0 else (0.0 if error == 0 else math.inf))
        inside = [ratio <= 1 for ratio in ratios]
        return {
            "mase": statistics.fmean(sizes) if sizes else None,
            "coverage_80": sum(inside) / len(inside) if inside else None,
            "ratios": ratios,
        }


def naive_forecast(values: Sequence[float], season: int, horizon: int) -> dict[str, Any]:
    """Return the seasonal naive forecast with its backtest, as the worker returns the better one.

    Args:
        values: Evenly spaced, without gaps, oldest first; at least `MIN_POINTS`.
        season: Points of one period.
        horizon: Times ahead.
    """
    season = season if is_seasonal(len(values), season) else 1
    test = Backtest(values, season, horizon)
    told = test.run(lambda train: seasonal_naive(train, season, test.ahead))
    return {
        "model": "seasonal naive" if season > 1 else "naive",
        **seasonal_naive(values, season, horizon),
        "mase": told["mase"], "naive_mase": told["mase"], "coverage_80": told["coverage_80"],
        "windows": len(test.origins), "calibration": 1.0,
    }  # fmt: skip


def _errors(values: Sequence[float], lag: int) -> list[float]:
    return [later - value for value, later in zip(values, values[lag:], strict=False)]

"""Which model forecasts a series: exponential smoothing with a damped trend, if a backtest finds it better.

Runs in the worker, whose environment has statsforecast and no dteg.

Source of the models: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing (2008).
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np  # type: ignore[import-not-found,unused-ignore] # of the worker's environment
from naive import (  # type: ignore[import-not-found] # lies beside this file
    LEVELS,
    Backtest,
    is_seasonal,
    naive_forecast,
    seasonal_naive,
)
from statsforecast.ets import ets_f, forecast_ets  # type: ignore[import-not-found,unused-ignore] # likewise

# Longer periods have too many states for exponential smoothing; their season is taken out first.
MAX_ETS_SEASON = 24
# Three windows are few to judge by: only where the naive forecast was better by so much in all of them together, it is
# published, and where it was somewhat better, the mean of both. Chosen on earlier windows of the benchmark's series than
# those it is judged by: there, taking the naive one wherever it was better makes the error 2 % larger.
NAIVE_BETTER, MEAN_BETTER = 0.6, 0.9
# A smooth series looks to the criterion as if its last value said all, whatever its season: then the model with a season is
# tried too, and taken if it was so much better.
SEASON_BETTER = 0.8
MAX_CALIBRATION = 2.5


def forecast(values: Sequence[float], season: int, horizon: int) -> dict[str, Any]:
    """Return the better of exponential smoothing and the seasonal naive forecast, with the backtest of both.

    Args:
        values: Evenly spaced, without gaps, oldest first; at least 8.
        season: Points of one period; 1 for none.
        horizon: Times ahead.
    """
    naive: dict[str, Any] = naive_forecast(values, season, horizon)
    if max(values) == min(values):
        return {**naive, "model": "constant"}
    season = season if is_seasonal(len(values), season) else 1
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            test = Backtest(values, season, horizon)
            model, told, tried = _smoothed(values, season, test)
            made = model.forecast(values, horizon)
        except (ArithmeticError, ValueError, NotImplementedError, np.linalg.LinAlgError):
            return naive
    name = model.name
    if not all(
        math.isfinite(value) for each in (made, *tried.values()) for part in each.values() for value in part
    ):
        return naive
    mase, beside = told["mase"], naive["mase"]
    if mase is not None and beside is not None and beside < NAIVE_BETTER * mase:
        return naive
    if mase is not None and beside is not None and beside < MEAN_BETTER * mase:
        name = f"mean of {model.name} and {naive['model']}"
        made = _mean(made, naive)
        told = test.run(lambda train: _mean(tried[len(train)], seasonal_naive(train, season, test.ahead)))
    factor = _calibration(told["ratios"])
    return {
        "model": name, **_widened(made, factor), "mase": told["mase"], "naive_mase": beside,
        "coverage_80": told["coverage_80"], "windows": len(test.origins), "calibration": factor,
    }  # fmt: skip


def _smoothed(
    values: Sequence[float], season: int, test: Backtest
) -> tuple["Smoothing", dict[str, Any], dict[int, dict[str, list[float]]]]:
    """Return the model, what its backtest told, and its forecasts there by their beginnings."""
    found = []
    for must_season in (False, True):
        try:
            model = Smoothing(values, season, must_season=must_season)
        except ValueError:
            if not must_season:
                raise
            break  # too short for so many states
        tried = {origin: model.again(values[:origin], test.ahead) for origin in test.origins}
        found.append((model, test.run(lambda train, tried=tried: tried[len(train)]), tried))
        if model.has_season or season == 1 or not test.origins:
            break
    first, last = found[0], found[-1]
    return last if (last[1]["mase"] or 0) < SEASON_BETTER * (first[1]["mase"] or 0) else first


class Smoothing:
    """Exponential smoothing whose components were chosen for a series.

    Args:
        values: The series.
        season: Points of one period, 1 for none.
        must_season: Whether only models with a season are looked at.
    """

    def __init__(self, values: Sequence[float], season: int, *, must_season: bool = False) -> None:
        self._season = season
        self._adjusts = season > MAX_ETS_SEASON
        rest, _ = self._parted(values)
        m = 1 if self._adjusts else season
        if must_season:
            letters = ("AAA", "MAA", "MAM") if min(values) > 0 else ("AAA",)
        else:
            letters = ("ZZZ",) if m > 1 else ("ZZN",)
        fits = [self._fit(rest, m, each, damped=True) for each in letters]
        if m == 1:
            fits.append(self._fit(rest, m, "ZNN", damped=False))
        best = min(
            (fit for fit in fits if fit is not None), key=lambda fit: _finite(fit["aicc"]), default=None
        )
        if best is None:
            raise ValueError("no model fits")
        self._fitted = best
        error, trend, seasonal, damped = best["components"]
        self._letters, self._damped, self._m = f"{error}{trend}{seasonal}", damped == "D", m
        self.has_season = self._adjusts or seasonal != "N"
        self.name = f"ETS({error},{trend}{'d' if self._damped else ''},{seasonal})"
        if self._adjusts:
            self.name = f"seasonally adjusted {self.name}"

    def forecast(self, values: Sequence[float], horizon: int) -> dict[str, list[float]]:
        """Return the forecast of the series it was chosen for."""
        _, seasonal = self._parted(values)
        return self._made(self._fitted, seasonal, horizon)

    def again(self, train: Sequence[float], horizon: int) -> dict[str, list[float]]:
        """Return the forecast from a beginning of the series: same components, parameters estimated anew."""
        rest, seasonal = self._parted(train)
        fit = self._fit(rest, self._m, self._letters, damped=self._damped)
        if fit is None:
            made: dict[str, list[float]] = seasonal_naive(train, self._season, horizon)
            return made
        return self._made(fit, seasonal, horizon)

    def _parted(self, values: Sequence[float]) -> tuple[Any, Any]:
        """Return the series without its season, and the season's last period; None where the model has it itself."""
        y = np.asarray(values, dtype=float)
        if not self._adjusts or len(y) < 2 * self._season:
            return y, None
        from statsmodels.tsa.seasonal import STL  # type: ignore[import-not-found,unused-ignore]

        parts = STL(y, period=self._season, robust=False).fit()
        return y - parts.seasonal, parts.seasonal[-self._season :]

    @staticmethod
    def _fit(y: Any, m: int, letters: str, *, damped: bool) -> Any:
        try:
            return ets_f(y, m=m, model=letters, damped=damped)
        except NotImplementedError:  # too few points for so many parameters
            return None
        except Exception as error:
            if type(error) is Exception:
                return None
            raise

    @staticmethod
    def _made(fit: Any, seasonal: Any, horizon: int) -> dict[str, list[float]]:
        told = forecast_ets(fit, h=horizon, level=list(LEVELS))
        more = np.zeros(horizon) if seasonal is None else np.resize(seasonal, horizon)
        made = {"mean": told["mean"] + more}
        for level in LEVELS:
            made[f"lo{level}"] = told[f"lo-{level}"] + more
            made[f"hi{level}"] = told[f"hi-{level}"] + more
        return {name: [float(value) for value in part] for name, part in made.items()}


def _calibration(ratios: Sequence[float]) -> float:
    """Return by how much the bands are made wider: as much as the backtest's 80 % of errors needed, drawn towards 1.

    The errors of one window hang together, so that they count for about a third of their number; six more that say
    1 keep a short backtest from saying much.
    """
    finite = sorted(ratio for ratio in ratios if math.isfinite(ratio))
    if len(finite) < 4:
        return 1.0
    needed = finite[min(math.ceil((len(finite) + 1) * 0.8) - 1, len(finite) - 1)]
    weight = len(finite) / 3
    factor = (weight * needed + 6.0) / (weight + 6.0)
    return max(1.0, min(MAX_CALIBRATION, factor))


def _mean(one: dict[str, list[float]], other: dict[str, Any]) -> dict[str, list[float]]:
    """Return the mean of two forecasts; that of the ends of their bands is on the safe side, as if both erred alike."""
    return {name: [(a + b) / 2 for a, b in zip(part, other[name], strict=True)] for name, part in one.items()}


def _widened(made: dict[str, list[float]], factor: float) -> dict[str, list[float]]:
    mean = made["mean"]
    wide = {"mean": mean}
    for level in LEVELS:
        for end in ("lo", "hi"):
            wide[f"{end}{level}"] = [
                m + factor * (b - m) for m, b in zip(mean, made[f"{end}{level}"], strict=True)
            ]
    return wide


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.inf

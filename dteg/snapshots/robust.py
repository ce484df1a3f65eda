"""Robust statistics of a trend, in plain Python: numpy would be imported at every start of the command line."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

# Pairs of 400 points are 80,000: about 30 ms.
MAX_POINTS = 400


def slopes(values: Sequence[float | None], season: int = 1) -> list[float]:
    """Return the slopes of all pairs of values, with a season only of those in the same phase.

    Args:
        values: On an even grid; None for a gap.
        season: Points of one period.
    """
    found: list[float] = []
    for phase in range(season):
        known = [
            (place, value)
            for place, value in enumerate(values)
            if value is not None and place % season == phase
        ]
        for number, (place, value) in enumerate(known):
            found += [(later - value) / (at - place) for at, later in known[number + 1 :]]
    return found


def theil_sen(values: Sequence[float | None], season: int = 1) -> float | None:
    """Return the median slope for one step, which outliers hardly move; None without two values of a phase.

    Source: Sen (1968); Hirsch, Slack and Smith (1982) for seasons.
    """
    found = slopes(values, season)
    return statistics.median(found) if found else None


def mann_kendall(values: Sequence[float | None], season: int = 1) -> float | None:
    """Return the two-sided p value of there being no trend; None for fewer than four values.

    Values that resemble the one before look like a trend to the plain test. So the variance is made larger by the
    correlation of neighbours after the trend is taken out.

    Args:
        values: On an even grid; None for a gap.
        season: Points of one period: then only values of the same phase are compared.

    Source: Mann (1945), Kendall (1975); Hirsch, Slack and Smith (1982); Bayley and Hammersley (1946) for the variance.
    """
    known = [value for value in values if value is not None]
    if len(known) < 4:
        return None
    score, variance = 0, 0.0
    for phase in range(season):
        ones = [value for value in values[phase::season] if value is not None]
        score += sum(
            _sign(later - value) for number, value in enumerate(ones) for later in ones[number + 1 :]
        )
        variance += _variance(ones)
    if variance <= 0:
        return 1.0
    variance *= _inflation(values, season)
    z = (score - _sign(score)) / math.sqrt(variance)
    return math.erfc(abs(z) / math.sqrt(2))


def _variance(values: Sequence[float]) -> float:
    """Return the variance of Kendall's score under no trend, with ties."""
    n = len(values)
    ties: dict[float, int] = {}
    for value in values:
        ties[value] = ties.get(value, 0) + 1
    tied = sum(t * (t - 1) * (2 * t + 5) for t in ties.values() if t > 1)
    return float(n * (n - 1) * (2 * n + 5) - tied) / 18


def _inflation(values: Sequence[float | None], season: int) -> float:
    slope = theil_sen(values, season) or 0.0
    rest = [None if value is None else value - slope * place for place, value in enumerate(values)]
    for phase in range(season):
        ones = [value for value in rest[phase::season] if value is not None]
        middle = statistics.median(ones) if ones else 0.0
        rest[phase::season] = [None if value is None else value - middle for value in rest[phase::season]]
    pairs = [(a, b) for a, b in pairwise(rest) if a is not None and b is not None]
    power = sum(value * value for value in rest if value is not None)
    size = max((abs(value) for value in values if value is not None), default=0.0)
    # Nothing is left but rounding: an exact line is no correlation.
    if power <= (1e-9 * size) ** 2 * len(rest) or len(pairs) < 3:
        return 1.0
    correlation = min(sum(a * b for a, b in pairs) / power, 0.95)
    return (1 + correlation) / (1 - correlation) if correlation > 0 else 1.0


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)

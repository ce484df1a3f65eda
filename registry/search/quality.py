"""How good a component is, apart from what it is about: five measured parts, each from 0 to 1.

`final = text x (0.5 + 0.5 x quality)`: at equal text the best component counts twice the worst, so quality decides
between those that fit about equally well, and cannot bring up what does not fit. What is not known yet is NEUTRAL, so
that a new component is neither punished nor preferred.
"""

import math
from dataclasses import dataclass
from datetime import datetime

NEUTRAL = 0.5
# What `proven` is for an environment that the component was not proven in, although it was in others.
ELSEWHERE = 0.25
SHARES = {"score": 0.40, "proven": 0.20, "kept": 0.15, "rating": 0.15, "freshness": 0.10}
_MANY_INSTALLS = 10_000
# Installs that the neutral value counts as, while there are few real ones.
_PRIOR_INSTALLS = 20
_FRESH_DAYS = 90
_OLD_DAYS = 3 * 365


@dataclass(frozen=True, slots=True)
class Quality:
    """The parts, each from 0 to 1.

    Attributes:
        score: The score of the gates.
        proven: Share of the tested environments that it works in.
        kept: Installs that are still there after 30 days, on a logarithmic scale.
        rating: The stars, drawn towards the mean while there are few.
        freshness: 1 up to 90 days after the newest release, 0 after three years.
        deprecated: Makes the whole 0.
    """

    score: float
    proven: float
    kept: float
    rating: float
    freshness: float
    deprecated: bool = False

    def total(self, *, proven: float | None = None) -> float:
        """Return the weighted sum, 0 to 1.

        Args:
            proven: Taken instead of the part `proven`: how it is in one environment.
        """
        if self.deprecated:
            return 0.0
        known = self.proven if proven is None else proven
        parts = {"score": self.score, "proven": known, "kept": self.kept, "rating": self.rating}
        return sum(SHARES[name] * part for name, part in parts.items()) + SHARES["freshness"] * self.freshness


def factor(quality: float) -> float:
    """Return what the text's score is multiplied with."""
    return 0.5 + 0.5 * quality


def proven_part(passed: int, tested: int) -> float:
    """Return the share of the environments that passed; NEUTRAL before any was tested."""
    return passed / tested if tested else NEUTRAL


def kept_part(installs: int, kept_rate: float | None) -> float:
    """Return how many installs were kept, on a logarithmic scale up to 10,000."""
    rate = NEUTRAL if kept_rate is None else kept_rate
    kept = math.log10(1 + installs * rate) / math.log10(1 + _MANY_INSTALLS)
    # While few have installed it, what the few did says little.
    return (installs * min(1.0, kept) + _PRIOR_INSTALLS * NEUTRAL) / (installs + _PRIOR_INSTALLS)


def rating_part(count: int, adjusted: float) -> float:
    """Return the stars (1 to 5) as 0 to 1."""
    return min(1.0, max(0.0, (adjusted - 1) / 4)) if count else NEUTRAL


def freshness_part(updated_at: datetime, now: datetime) -> float:
    """Return 1 for what was released in the last 90 days, falling to 0 at three years."""
    days = (now - updated_at).total_seconds() / 86_400
    return min(1.0, max(0.0, (_OLD_DAYS - days) / (_OLD_DAYS - _FRESH_DAYS)))

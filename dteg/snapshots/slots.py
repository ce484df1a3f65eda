"""Planned times: which one now belongs to, which ones lie between two, and the season that follows from them."""

import bisect
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from dteg.core.schedules import next_times

_LOOK_BACK = tuple(
    timedelta(**span)
    for span in ({"hours": 1}, {"days": 1}, {"days": 8}, {"days": 63}, {"days": 800}, {"days": 4000})
)
# Times are worked out in chunks that grow: what is worked out beyond the end is for nothing.
_FIRST_CHUNK, _CHUNK = 4, 64
_HOUR, _DAY = 3600.0, 86_400.0
MAX_SEASON = 400
# A forecast further ahead than one period says little; these are what people plan by.
_HORIZONS = ((0.8 * _DAY, 0), (2 * _DAY, 14), (10 * _DAY, 13), (40 * _DAY, 12), (100 * _DAY, 8))
_MAX_DEFAULT_HORIZON = 96


@dataclass(frozen=True, slots=True)
class Clockwork:
    """The schedule of snapshots.

    Attributes:
        cron: Expression of five fields.
        timezone: Zone it is read in.
    """

    cron: str
    timezone: str = "UTC"

    def at(self, now: datetime) -> datetime | None:
        """Return the last planned time that is not later than `now`; None within eleven years."""
        for span in _LOOK_BACK:
            found = self.between(now - span, now)
            if found:
                return found[-1]
        return None

    def after(self, slot: datetime, count: int = 1) -> list[datetime]:
        """Return the next planned times."""
        return next_times(self.cron, self.timezone, slot, count)

    def is_planned(self, slot: datetime) -> bool:
        """Return whether a time is one of the schedule."""
        return self.after(slot - timedelta(seconds=1))[:1] == [slot]

    def between(self, start: datetime, end: datetime, most: int = 100_000) -> list[datetime]:
        """Return the planned times later than `start` up to `end`, the latest `most` of a long list at the most."""
        found: list[datetime] = []
        after, size = start, _FIRST_CHUNK
        while len(found) < most:
            chunk = self.after(after, size)
            size = min(2 * size, _CHUNK)
            inside = [slot for slot in chunk if slot <= end]
            found += inside
            if len(inside) < len(chunk) or not chunk:
                break
            after = chunk[-1]
        return found


def step_of(slots: Sequence[datetime]) -> float | None:
    """Return the usual time between two slots (s), from the last fifty; None for fewer than two."""
    recent = slots[-50:]
    if len(recent) < 2:
        return None
    return statistics.median((b - a).total_seconds() for a, b in pairwise(recent))


def season_of(slots: Sequence[datetime]) -> int:
    """Return how many slots make one period: those of a day, a week, or a year; 1 if there is none.

    Args:
        slots: Planned times, oldest first; better those of the schedule than those that have points.
    """
    step = step_of(slots)
    if step is None or step <= 0:
        return 1
    if step < 20 * _HOUR:
        # The fullest day: a schedule may run in office hours only.
        size = max(Counter(slot.date() for slot in slots).values())
    elif step < 36 * _HOUR:
        size = max(Counter(slot.isocalendar()[:2] for slot in slots).values())
    else:
        size = next(
            (n for days, n in ((7, 52), (30.4, 12), (91.3, 4)) if abs(step / _DAY - days) < days / 10), 1
        )
    return size if 1 < size <= MAX_SEASON else 1


def season_of_schedule(clockwork: Clockwork, around: datetime) -> int:
    """Return the season of a schedule, whether or not it has points yet."""
    return _season(clockwork, around.date())


@lru_cache(maxsize=256)
def _season(clockwork: Clockwork, day: date) -> int:
    around = datetime(day.year, day.month, day.day, tzinfo=UTC)
    ahead = clockwork.after(around, 15)
    step = step_of(ahead)
    if step is None or step * MAX_SEASON < _DAY:
        return 1
    if step < 20 * _HOUR:
        ahead = clockwork.between(around, around + timedelta(days=9), most=9 * MAX_SEASON)
    return season_of(ahead)


def horizon_of(step_s: float | None, season: int) -> int:
    """Return how many times ahead a forecast goes by default: a day of hours, two weeks of days, a year of months."""
    if step_s is None:
        return 6
    for most, horizon in _HORIZONS:
        if step_s < most:
            return horizon or min(max(season, 6), _MAX_DEFAULT_HORIZON)
    return 4


def nearest(slots: Sequence[datetime], wanted: datetime, tolerance_s: float) -> int | None:
    """Return the place of the slot next to a time; None if none is near enough."""
    place = bisect.bisect_left(slots, wanted)
    near = [each for each in (place - 1, place) if 0 <= each < len(slots)]
    best = min(near, key=lambda each: abs((slots[each] - wanted).total_seconds()), default=None)
    if best is None or abs((slots[best] - wanted).total_seconds()) > tolerance_s:
        return None
    return best


def same_time(slot: datetime, timezone: str, *, days: int = 0, years: int = 0) -> datetime:
    """Return the same time of day some days or years before, by the clocks of a zone."""
    local = slot.astimezone(ZoneInfo(timezone))
    day = local.date() - timedelta(days=days)
    if years:
        try:
            day = day.replace(year=day.year - years)
        except ValueError:  # 29 February
            day = day.replace(year=day.year - years, day=28)
    return datetime.combine(day, local.timetz()).astimezone(slot.tzinfo)


def even(last: datetime, step_s: float, count: int) -> list[datetime]:
    """Return times that go on in equal steps, for series without a schedule."""
    return [last + timedelta(seconds=step_s * (number + 1)) for number in range(count)]

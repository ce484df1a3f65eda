"""When something runs: cron expressions and time zones, checked, said in words, and worked out."""

import zoneinfo
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    import cronsim


def check_cron(value: str) -> str:
    """Return a cron expression of five fields as it is.

    Raises:
        ValueError: It is none, or there is no time that fits it.
    """
    if len(value.split()) != 5:
        raise ValueError(f"{value!r} is not a cron expression of five fields, such as 0 6 * * *")
    _times(value, datetime(2000, 1, 1, tzinfo=UTC))
    return value


def check_timezone(value: str) -> str:
    """Return the name of a time zone as it is.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        zoneinfo.ZoneInfo(value)
    except (ValueError, OSError, KeyError):  # KeyError: not found; OSError: the name of a folder
        from dteg.core.suggest import did_you_mean

        near = did_you_mean(value, zoneinfo.available_timezones()) or "write one such as Asia/Seoul or UTC"
        raise ValueError(f"unknown time zone {value!r}; {near}") from None
    return value


CronText = Annotated[str, AfterValidator(check_cron)]
"""A cron expression of five fields."""

TimezoneText = Annotated[str, AfterValidator(check_timezone)]
"""A name of the time zone database."""


def next_times(cron: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """Return the next times of a schedule in UTC, fewer than `count` if there are no more within fifty years.

    Args:
        cron: Expression of five fields, read in `timezone`.
        timezone: Name of the zone. Where its clocks jump, a time that is left out comes right after the jump, and a
            fixed time that is there twice comes the second time, as Dagster does it.
        after: Aware time; the first one returned is later.
        count: How many.
    """
    import cronsim

    times = _times(cron, after.astimezone(zoneinfo.ZoneInfo(timezone)))
    fixed = not any(part.startswith("*") for part in cron.split()[:2])
    found: list[datetime] = []
    try:
        while len(found) < count:
            at = next(times)
            found.append((at.replace(fold=1) if fixed else at).astimezone(UTC))
    except (StopIteration, cronsim.CronSimError):
        pass
    return found


def describe(cron: str) -> str:
    """Say a cron expression in words, such as `At 02:00 every day`."""
    return _times(cron, datetime(2000, 1, 1, tzinfo=UTC)).explain()


def _times(cron: str, after: datetime) -> "cronsim.CronSim":
    import cronsim

    try:
        return cronsim.CronSim(cron, after)
    except cronsim.CronSimError as error:
        raise ValueError(f"{cron!r} is not a cron expression: {error}") from None

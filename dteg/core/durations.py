"""Durations as people write them: `90s`, `15m`, `26h`, `7d`, `2w`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_FORM = re.compile(r"([0-9]{1,9})([smhdw])")


def parse_duration(text: str) -> timedelta:
    """Read a whole number and a unit: s, m (minutes), h, d or w.

    Raises:
        ValueError: Anything else, or more than about 2.7 million years.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a duration; write a number and a unit, such as 90s, 15m, 26h, 7d or 2w"
        )
    try:
        return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration; write less, such as 26h, 7d or 2w") from None


def describe_duration(duration: timedelta) -> str:
    """Say a duration in its largest fitting unit, such as `31.5 hours`; from two days on in days."""
    seconds = duration.total_seconds()
    for unit, size, least in (("days", 86_400, 172_800), ("hours", 3600, 3600), ("minutes", 60, 60)):
        if abs(seconds) >= least:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} seconds"


def _checked(value: object) -> object:
    if isinstance(value, str):
        parse_duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(  # noqa: TRY004 - what pydantic turns into a message
            f"{value} has no unit; write one, such as {value}s, {value}m or {value}h"
        )
    return value


DurationText = Annotated[str, BeforeValidator(_checked)]
"""A text such as `26h` or `15m`."""

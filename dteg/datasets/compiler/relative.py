"""Times that move with the clock: `-90d`, or the start of the month three months ago."""

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    DATE,
    TIMESTAMP,
    TIMESTAMPTZ,
    Term,
    at_utc,
    boxed,
    call,
    interval,
    to_type,
)
from dteg.datasets.spec import Relative
from dteg.datasets.spec.values import RELATIVE
from dteg.datasets.types import TIMES, Family, SqlType

# Whole calendar months, not thirty days: a month before 31 March is the end of February.
_UNITS = {
    "s": ("seconds", 1), "m": ("minutes", 1), "h": ("hours", 1), "d": ("days", 1), "w": ("days", 7),
    "mo": ("months", 1), "q": ("months", 3), "y": ("months", 12),
}  # fmt: skip
_GREATEST = {"seconds": 99_999, "minutes": 99_999, "hours": 99_999, "days": 99_999, "months": 24_000}


def relative_term(value: Relative, wanted: Family) -> Term:
    """Return a time that is worked out anew with each refresh, to compare a column of the family `wanted` with.

    It is a subquery without a table: PostgreSQL works that out once and hands it to a foreign table as a parameter,
    whereas `now()` within a condition would have all rows of the table come here first.

    Raises:
        ConfigError: `wanted` is no time, or the time is too far away.
    """
    if wanted not in TIMES:
        raise ConfigError(f"a time from now cannot be compared with {wanted.words}")
    # The zone's own clock: a day that is 23 hours long is a day, too.
    local: exp.Expression = exp.AtTimeZone(this=call("now"), zone=exp.Literal.string(value.timezone))
    local = _shifted(boxed(local), value.relative)
    if value.start_of is not None:
        local = call("date_trunc", exp.Literal.string(value.start_of), local)
    node, type_ = _as_family(local, value.timezone, wanted)
    return Term(exp.Subquery(this=exp.Select(expressions=[node])), type_, nullable=False, size=6)


def _shifted(node: exp.Expression, text: str) -> exp.Expression:
    match = RELATIVE.fullmatch(text)
    if match is None:
        raise ConfigError(f"{text!r} is not a time from now, such as -90d")
    unit, times = _UNITS[match[3]]
    count = int(match[2]) * times
    if count > _GREATEST[unit]:
        raise ConfigError(f"{text} is too far away")
    operation = exp.Add if match[1] == "+" else exp.Sub
    return boxed(operation(this=node, expression=interval(f"{count} {unit}")))


def _as_family(local: exp.Expression, timezone: str, wanted: Family) -> tuple[exp.Expression, SqlType]:
    if wanted is Family.DATE:
        return to_type(local, DATE), DATE
    moment = exp.AtTimeZone(this=boxed(local), zone=exp.Literal.string(timezone))
    if wanted is Family.TIMESTAMPTZ:
        return moment, TIMESTAMPTZ
    return (local, TIMESTAMP) if timezone == "UTC" else (at_utc(moment), TIMESTAMP)

"""Values made into another type. What is certain to fail is found before the query runs."""

import datetime as dt
import re
import uuid
from decimal import Decimal

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    DATE,
    INTEGER,
    TIMESTAMP,
    TIMESTAMPTZ,
    Term,
    at_utc,
    boxed,
    built,
    guarded,
    literal_term,
    text_node,
    to_type,
)
from dteg.datasets.types import NUMBERS, TIMES, CastType, Family, SqlType, can_cast

_DATE_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID_FORM = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_NUMBER_FORM = re.compile(r"[-+]?[0-9]{1,100}(\.[0-9]{1,100})?")
_EXAMPLES = {
    Family.DATE: ", such as 2026-01-31",
    Family.TIMESTAMP: ", such as 2026-01-31 09:30:00",
    Family.TIMESTAMPTZ: ", such as 2026-01-31T09:30:00+00:00",
}
_READ = {
    Family.DATE: DATE,
    Family.TIMESTAMP: TIMESTAMP,
    Family.TIMESTAMPTZ: TIMESTAMPTZ,
    Family.UUID: SqlType("uuid", Family.UUID),
}
_LIMITS = {"integer": 2**31, "bigint": 2**63}


def read_literal(term: Term, type_: SqlType) -> Term:
    """Read a text written by a user as a value of the type it is compared with.

    Raises:
        ConfigError: It is none.
    """
    text = str(term.literal)
    family = type_.family
    if family in NUMBERS or family is Family.BOOLEAN:
        raise ConfigError(f"{text[:60]!r} is a text, compared with {family.words}; write it without quotes")
    if family not in _READ:
        return term
    _check_text(text, family)
    made = to_type(exp.Literal.string(text.strip()), _READ[family])
    return Term(made, _READ[family], nullable=False, constant=True)


def cast_to(term: Term, target: CastType) -> Term:
    """Cast a value.

    Raises:
        ConfigError: There is no sense in it, or it is certain to fail.
    """
    source, family = term.family, target.type.family
    if not can_cast(source, family):
        raise ConfigError(f"{source.words} cannot become {family.words}")
    if term.constant and source is not Family.NULL:
        _check_constant(term, target)
    node = text_node(term) if source is Family.TEXT else guarded(term)
    if source is Family.INTEGER and family is Family.BOOLEAN:
        return built(boxed(exp.NEQ(this=node, expression=exp.Literal.number(0))), target.type, [term])
    if source is Family.BOOLEAN and family is Family.INTEGER:
        node = to_type(node, INTEGER)  # the only whole number that PostgreSQL makes of it
    elif source in TIMES and family in TIMES and source is not family:
        node = _between_times(node, source, family)
    return built(exp.Cast(this=node, to=target.node()), target.type, [term])


def _between_times(node: exp.Expression, source: Family, family: Family) -> exp.Expression:
    """Read a time without zone as UTC, whatever the zone of the session is."""
    if source is Family.TIMESTAMPTZ:
        return at_utc(node)
    if family is Family.TIMESTAMPTZ:
        return at_utc(to_type(node, TIMESTAMP) if source is Family.DATE else node)
    return node


def _check_constant(term: Term, target: CastType) -> None:
    """Check what PostgreSQL would calculate as soon as it sees the query."""
    family = target.type.family
    if (
        family is Family.TEXT
        or (term.family in TIMES and family in TIMES)
        or term.family is family is Family.UUID
    ):
        return
    value = term.literal
    if value is None:
        raise ConfigError("this cast uses no column; write its result instead")
    if isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, family)
        if family not in NUMBERS:
            return
        value = Decimal(value.strip())
    _check_number(Decimal(value), target)


def _check_number(value: Decimal, target: CastType) -> None:
    limit = _LIMITS.get(target.type.sql)
    if target.numbers:
        places = target.numbers[1] if len(target.numbers) == 2 else 0
        limit = 10 ** (target.numbers[0] - places)
        value = Decimal(round(value, places))
    if limit is not None and not -limit < value < limit - (0 if target.numbers else Decimal("0.5")):
        raise ConfigError(f"{str(value)[:60]} does not fit into {target.type.sql}")


def _check_text(text: str, family: Family) -> None:
    stripped = text.strip()
    try:
        _read_text(stripped, family)
    except (ValueError, OverflowError):
        raise ConfigError(f"{text[:60]!r} is not {family.words}{_EXAMPLES.get(family, '')}") from None


def _read_text(text: str, family: Family) -> None:
    """Read a text in Python, more strictly than PostgreSQL does.

    Raises:
        ValueError: It is none of that family.
    """
    if family is Family.UUID:
        _must(_UUID_FORM.fullmatch(text))
        uuid.UUID(text)
    elif family in NUMBERS:
        _must(_NUMBER_FORM.fullmatch(text) and (family is not Family.INTEGER or "." not in text))
    elif family is Family.BOOLEAN:
        _must(text in ("true", "false"))
    elif family in TIMES:
        _must(text.isascii() and _DATE_FORM.fullmatch(text[:10]))
        if family is Family.DATE:
            dt.date.fromisoformat(text)
        else:
            offset = dt.datetime.fromisoformat(text).utcoffset()
            _must(offset is None or (abs(offset) <= dt.timedelta(hours=15) and not offset.seconds % 60))


def _must(fact: object) -> None:
    if not fact:
        raise ValueError


def casted_literal(value: str | float | bool, type_: SqlType) -> Term:
    """Return a value of a spec as what it is compared with or stands beside.

    Raises:
        ConfigError: It does not fit.
    """
    term = literal_term(value)
    return read_literal(term, type_) if isinstance(value, str) and type_.family is not Family.TEXT else term

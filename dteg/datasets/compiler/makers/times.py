"""Times: without zone in UTC, whatever the source has."""

from collections.abc import Sequence

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.makers import Make
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    DATE,
    INTEGER,
    NUMERIC,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    Term,
    TextCompare,
    at_utc,
    boxed,
    built,
    call,
    guarded,
    interval,
    to_type,
)
from dteg.datasets.types import Family

PARTS = ("year", "quarter", "month", "week", "day", "hour", "minute")
_TIME_FORMAT = frozenset("YMDHISWQ0123456789 -/.:,_")


def as_timestamp(term: Term) -> exp.Expression:
    """Return a time without zone, in UTC."""
    node = guarded(term)
    if term.family is Family.TIMESTAMPTZ:
        return at_utc(node)
    return to_type(node, TIMESTAMP) if term.family is Family.DATE else node


def part(name: str) -> Make:
    """Return what takes a part out of a time."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        part = call("date_part", exp.Literal.string(name), as_timestamp(terms[0]))
        return built(to_type(part, INTEGER), INTEGER, terms)

    return make


def date_trunc(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the start of a period.

    Raises:
        ConfigError: There is no such period.
    """
    if terms[0].literal not in PARTS:
        raise ConfigError(f"date_trunc knows {', '.join(PARTS)}")
    node = call("date_trunc", terms[0].node, as_timestamp(terms[1]))
    if terms[0].literal in ("hour", "minute"):
        return built(node, TIMESTAMP, terms)
    return built(to_type(node, DATE), DATE, terms)


def between(seconds: int) -> Make:
    """Return what measures from one time to another, in units of so many seconds."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        """Whole days by the calendar; hours and minutes with fractions."""
        if seconds == 86_400:
            first, last = (to_type(as_timestamp(term), DATE) for term in terms)
            return built(boxed(exp.Sub(this=last, expression=first)), INTEGER, terms)
        length = boxed(exp.Sub(this=as_timestamp(terms[1]), expression=as_timestamp(terms[0])))
        whole = to_type(call("date_part", exp.Literal.string("epoch"), length), NUMERIC)
        return built(
            boxed(exp.Div(this=whole, expression=exp.Literal.number(seconds), typed=True)), NUMERIC, terms
        )

    return make


def added(unit: str) -> Make:
    """Return what adds a fixed number of units to a time."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        amount = terms[1].literal
        if not isinstance(amount, int) or isinstance(amount, bool) or abs(amount) > 100_000:
            raise ConfigError(f"add_{unit}s adds a whole number up to 100 000 that is written as such")
        if unit == "month" and abs(amount) > 12_000:
            raise ConfigError("add_months adds at most 12 000 months")
        node = boxed(exp.Add(this=as_timestamp(terms[0]), expression=interval(f"{amount} {unit}s")))
        if terms[0].family is Family.DATE and unit != "hour":
            return built(to_type(node, DATE), DATE, terms)
        return built(node, TIMESTAMP, terms)

    return make


def now(_terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the time at which the refresh began."""
    return Term(call("now"), TIMESTAMPTZ, nullable=False)


def today(_terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the day on which the refresh began, in UTC."""
    return Term(to_type(at_utc(call("now")), DATE), DATE, nullable=False, size=3)


def format_time(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a time as a text.

    Raises:
        ConfigError: The form has signs that mean nothing.
    """
    form = str(terms[1].literal)
    if not 0 < len(form) <= 40 or not set(form) <= _TIME_FORMAT:
        raise ConfigError("format_time takes a form such as 'YYYY-MM-DD HH24:MI'")
    return built(call("to_char", as_timestamp(terms[0]), terms[1].node), TEXT, terms)

"""Groups and measures: what rows are put together by, and what becomes of each group."""

from dataclasses import dataclass

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.makers.times import as_timestamp
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    EXACT,
    NUMERIC,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    Term,
    TextCompare,
    boxed,
    built,
    call,
    collated,
    guarded,
    key_node,
    text_node,
    to_type,
)
from dteg.datasets.spec import AggregateMeasure, GroupColumn
from dteg.datasets.types import NUMBERS, TIMES, Family, SqlType

_ORDERED = NUMBERS | TIMES | {Family.TEXT, Family.TIME, Family.INTERVAL}
_WITHIN_A_DAY = ("hour", "minute")
ADDING_UP = frozenset(["count", "sum", "avg", "median", "stddev"])
"""Functions whose result differs if rows are there several times."""


@dataclass(frozen=True)
class GroupTerm:
    """One group.

    Attributes:
        key: What rows are put together by.
        shown: What is shown for the group.
    """

    key: exp.Expression
    shown: Term


def group_term(term: Term, mode: TextCompare) -> GroupTerm:
    """Return a value as a group.

    Raises:
        ConfigError: Nothing can be put together by it.
    """
    if term.family in (Family.JSON, Family.OTHER, Family.NULL):
        raise ConfigError(
            f"rows cannot be put together by values of the type {term.type.sql}; cast them to text"
        )
    if term.constant:
        raise ConfigError("this is the same for each row; leave it out of group_by")
    if term.family is Family.TEXT and mode.ci:
        # One of the ways in which the text is written, always the same one.
        shown = call("min", collated(text_node(term)))
        return GroupTerm(
            key_node(term, mode), Term(shown, TEXT, term.nullable, term.size + 2, term.height + 2)
        )
    key = key_node(term, mode)
    is_cast = term.column is not None and key is not term.node and term.family is Family.TEXT
    type_ = TEXT if is_cast else term.type
    return GroupTerm(key, Term(key, type_, term.nullable, term.size, term.height, aliases=term.aliases))


def period(term: Term, group: GroupColumn) -> Term:
    """Return the start of the period that a time falls into, by the clocks of a zone.

    Raises:
        ConfigError: It is no time, or a day is to be cut into hours.
    """
    grain = group.grain
    if grain is None:
        return term
    if term.family not in TIMES:
        raise ConfigError(f"grain: {grain} needs a time; this is {term.family.words}")
    unit = exp.Literal.string(grain)
    if term.family is Family.DATE:
        if grain in _WITHIN_A_DAY:
            raise ConfigError(f"grain: {grain} needs a time of day; this is a date")
        return built(to_type(call("date_trunc", unit, to_type(guarded(term), TIMESTAMP)), DATE), DATE, [term])
    local = as_timestamp(term)
    zone = exp.Literal.string(group.timezone)
    if group.timezone != "UTC":
        utc = exp.AtTimeZone(this=local, zone=exp.Literal.string("UTC"))
        local = boxed(exp.AtTimeZone(this=boxed(utc), zone=zone))
    start = call("date_trunc", unit, local)
    if grain in _WITHIN_A_DAY:
        return built(boxed(exp.AtTimeZone(this=start, zone=zone)), TIMESTAMPTZ, [term])
    return built(to_type(start, DATE), DATE, [term])


def aggregate(measure: AggregateMeasure, of: Term | None, where: Term | None, mode: TextCompare) -> Term:
    """Return a measure of the rows of a group.

    Args:
        measure: What is wanted.
        of: The values; None to count rows.
        where: Which rows.
        mode: How texts are compared.

    Raises:
        ConfigError: The function does not fit the values.
    """
    node, type_ = (call("count", exp.Star()), BIGINT) if of is None else _function(measure.fn, of, mode)
    if where is not None:
        node = exp.Filter(this=node, expression=exp.Where(this=where.node))
    parts = [term for term in (of, where) if term is not None]
    term = built(node, type_, parts, nullable=not measure.fn.startswith("count"))
    return Term(term.node, term.type, term.nullable, term.size, term.height, aliases=term.aliases)


def _function(name: str, of: Term, mode: TextCompare) -> tuple[exp.Expression, SqlType]:
    if name == "count":
        return call("count", of.node), BIGINT
    if name == "count_distinct":
        if of.family in (Family.JSON, Family.OTHER):
            raise ConfigError(
                f"different values of the type {of.type.sql} cannot be counted; cast them to text"
            )
        return call("count", exp.Distinct(expressions=[key_node(of, mode)])), BIGINT
    if name in ("min", "max"):
        return _extreme(name, of)
    if name in ("any_true", "all_true"):
        if of.family is not Family.BOOLEAN:
            raise ConfigError(f"fn: {name} takes true or false; this is {of.family.words}")
        return call("bool_or" if name == "any_true" else "bool_and", guarded(of)), BOOLEAN
    if of.family not in NUMBERS:
        raise ConfigError(f"fn: {name} takes numbers; this is {of.family.words}")
    return _of_numbers(name, of)


def _extreme(name: str, of: Term) -> tuple[exp.Expression, SqlType]:
    if of.family not in _ORDERED:
        hint = "; there are any_true and all_true" if of.family is Family.BOOLEAN else "; cast it to text"
        raise ConfigError(f"fn: {name} takes no value that is {of.family.words}{hint}")
    if of.family is Family.TEXT:
        return call(name, collated(text_node(of))), TEXT
    return call(name, _sent_away(of)), of.type


def _of_numbers(name: str, of: Term) -> tuple[exp.Expression, SqlType]:
    exact = of.family is not Family.FLOAT
    if name == "sum":
        type_ = (
            of.type
            if not exact
            else BIGINT
            if of.type.sql in ("integer", "smallint", "int2", "int4")
            else NUMERIC
        )
        return call("sum", _sent_away(of)), type_
    node = guarded(of)
    if name == "median":
        order = exp.Order(expressions=[exp.Ordered(this=node, nulls_first=False)])
        half = call("percentile_cont", exp.Literal.number("0.5"))
        return exp.WithinGroup(this=half, expression=order), DOUBLE
    return call("avg" if name == "avg" else "stddev_samp", node), NUMERIC if exact else DOUBLE


def _sent_away(of: Term) -> exp.Expression:
    """Return a value whose sum, least or greatest is the same wherever it is found."""
    return guarded(of) if of.family is Family.FLOAT else key_node(of, EXACT)

"""Choices among values, which are brought to one type before."""

from collections.abc import Sequence

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.casting import read_literal
from dteg.datasets.compiler.comparing import compare
from dteg.datasets.compiler.makers import Make
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    NUMERIC,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    Term,
    TextCompare,
    built,
    call,
    collated,
    guarded,
    null_term,
    text_node,
    to_type,
)
from dteg.datasets.types import NUMBERS, TIMES, Family, SqlType

_CASTABLE = (TEXT, INTEGER, BIGINT, NUMERIC, DOUBLE, DATE, TIMESTAMP, TIMESTAMPTZ)


def unified(terms: Sequence[Term], what: str) -> tuple[list[exp.Expression], SqlType]:
    """Bring values of which one is chosen to one type.

    Raises:
        ConfigError: There is none.
    """
    families = {term.family for term in terms} - {Family.NULL}
    if not families:
        return [to_type(term.node, TEXT) for term in terms], TEXT
    known = next(term.type for term in terms if term.family is not Family.NULL)
    if len(families) > 1:
        terms = [_as_time(term, families) for term in terms]
        families = {term.family for term in terms} - {Family.NULL}
    if len(families) > 1 and not families <= NUMBERS:
        words = " and ".join(sorted({family.words for family in families}))
        raise ConfigError(f"the values of {what} are {words}; make them alike with cast(... as ...)")
    if families & {Family.JSON, Family.OTHER}:
        raise ConfigError(f"{what} takes no values of the type {known.sql}; cast them to text")
    type_ = _common(families, [term for term in terms if term.family is not Family.NULL])
    nodes = []
    for term in terms:
        node = text_node(term) if type_ is TEXT else guarded(term)
        nodes.append(node if term.type.sql == type_.sql or type_ not in _CASTABLE else to_type(node, type_))
    return nodes, type_


def _as_time(term: Term, families: set[Family]) -> Term:
    """Read a text beside times as a time."""
    wanted = families - {Family.TEXT}
    if len(wanted) == 1 and wanted <= TIMES and isinstance(term.literal, str):
        return read_literal(
            term, {each.family: each for each in (DATE, TIMESTAMP, TIMESTAMPTZ)}[wanted.pop()]
        )
    return term


def _common(families: set[Family], terms: Sequence[Term]) -> SqlType:
    if families <= NUMBERS:
        if Family.FLOAT in families:
            return DOUBLE
        if Family.DECIMAL in families:
            return NUMERIC
        return BIGINT if any(term.type.sql in ("bigint", "int8") for term in terms) else INTEGER
    family = next(iter(families))
    plain = {each.family: each for each in (TEXT, BOOLEAN, DATE, TIMESTAMP, TIMESTAMPTZ)}
    return plain.get(family, terms[0].type)


def choice(cases: Sequence[tuple[Term, Term]], otherwise: Term | None) -> Term:
    """Return the value of the first condition that is true.

    Raises:
        ConfigError: A condition is none, or the values are of different types.
    """
    for condition, _ in cases:
        if condition.family is not Family.BOOLEAN:
            raise ConfigError(
                f"a condition is {condition.family.words}; write a comparison, such as amount > 0"
            )
    values = [value for _, value in cases] + [otherwise or null_term()]
    nodes, type_ = unified(values, "if and case")
    ifs = [exp.If(this=guarded(case[0]), true=node) for case, node in zip(cases, nodes, strict=False)]
    node = exp.Case(ifs=ifs, default=nodes[-1])
    parts = [*(condition for condition, _ in cases), *values]
    return built(node, type_, parts, nullable=any(value.nullable for value in values))


def extreme(name: str) -> Make:
    """Return what chooses the greatest or least value; texts in the order of their bytes."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes, type_ = unified(terms, name)
        if type_.family is Family.TEXT:
            nodes = [collated(node) for node in nodes]
        return built(call(name, *nodes), type_, terms)

    return make


def coalesce(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return the first value that is not missing."""
    nodes, type_ = unified(terms, "coalesce")
    return built(call("coalesce", *nodes), type_, terms, nullable=all(term.nullable for term in terms))


def nullif(terms: Sequence[Term], mode: TextCompare) -> Term:
    """Return the first value unless it equals the second."""
    same = compare("=", terms[0], terms[1], mode)
    node = exp.Case(ifs=[exp.If(this=same.node, true=exp.Null())], default=guarded(terms[0]))
    return built(node, terms[0].type, [*terms, terms[0]], nullable=True)


def if_else(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return one of two values."""
    return choice([(terms[0], terms[1])], terms[2] if len(terms) > 2 else None)

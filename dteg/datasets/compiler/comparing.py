"""Comparisons of values, the same whatever database they come from."""

from collections.abc import Sequence

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.casting import read_literal
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    BOOLEAN,
    TIMESTAMP,
    Operator,
    Term,
    TextCompare,
    at_utc,
    boxed,
    built,
    guarded,
    key_node,
    known_text,
    order_node,
    to_type,
)
from dteg.datasets.types import TIMES, Family, comparable

_SIGNS: dict[str, Operator] = {
    "=": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE,
}  # fmt: skip


def compare(op: str, left: Term, right: Term, mode: TextCompare) -> Term:
    """Compare two values with `=`, `!=`, `<`, `<=`, `>` or `>=`.

    Raises:
        ConfigError: They cannot be compared.
    """
    left, right = fitted(left, right)
    if Family.NULL in (left.family, right.family):
        raise ConfigError("a comparison with null is never true; ask: is null")
    if not comparable(left.family, right.family):
        raise ConfigError(
            f"{left.family.words} cannot be compared with {right.family.words}; make them alike with cast(... as ...)"
        )
    make = key_node if op in ("=", "!=") else order_node
    node: exp.Expression = _SIGNS[op](this=make(left, mode), expression=make(right, mode))
    return built(boxed(node), BOOLEAN, [left, right])


def is_one_of(value: Term, options: Sequence[Term], mode: TextCompare) -> Term:
    """Ask whether a value is in a list.

    Raises:
        ConfigError: An option is of another type.
    """
    fitting = []
    for option in options:
        fitted_value, fitted_option = fitted(value, option)
        if fitted_value is not value or not comparable(value.family, fitted_option.family):
            raise ConfigError(f"{value.family.words} cannot be compared with {option.family.words} in a list")
        if fitted_option.family is Family.NULL:
            raise ConfigError("null in a list never matches; ask: is null")
        fitting.append(fitted_option)
    nodes = [key_node(option, mode) for option in fitting]
    node: exp.Expression = exp.In(this=key_node(value, mode), expressions=nodes)
    return built(boxed(node), BOOLEAN, [value, *fitting])


def fitted(left: Term, right: Term) -> tuple[Term, Term]:
    """Read a text literal as what it is compared with, and bring two kinds of times together (as UTC).

    Raises:
        ConfigError: The text is none of that type.
    """
    if known_text(right) and left.family is not Family.TEXT:
        right = read_literal(right, left.type)
    elif known_text(left) and right.family is not Family.TEXT:
        left = read_literal(left, right.type)
    if left.family != right.family and {left.family, right.family} <= TIMES:
        return _as_timestamp(left), _as_timestamp(right)
    return left, right


def _as_timestamp(term: Term) -> Term:
    if term.family is Family.TIMESTAMP:
        return term
    node = guarded(term)
    made = at_utc(node) if term.family is Family.TIMESTAMPTZ else to_type(node, TIMESTAMP)
    return built(made, TIMESTAMP, [term])

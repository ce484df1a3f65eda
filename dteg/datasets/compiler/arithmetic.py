"""Operations of formulas: numbers that neither overflow nor lose their fraction, and logic."""

from collections.abc import Sequence
from decimal import Decimal

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.comparing import compare, fitted
from dteg.datasets.compiler.makers.numbers import number_node, remainder
from dteg.datasets.compiler.makers.texts import as_text
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    INTEGER,
    NUMERIC,
    TEXT,
    Operator,
    Term,
    TextCompare,
    boxed,
    built,
    call,
    guarded,
    literal_term,
    to_type,
)
from dteg.datasets.types import NUMBERS, TIMES, Family, SqlType

_SIGNS: dict[str, Operator] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul}


def operation(sign: str, left: Term, right: Term) -> Term:
    """Calculate with two values: `+`, `-`, `*`, `/`, `%`, or `||` for texts.

    A division by zero is nothing, so that one row cannot make a refresh fail. A division of whole numbers has a
    fraction.

    Raises:
        ConfigError: There is no such operation for values of these types.
    """
    if sign == "||":
        return built(boxed(exp.DPipe(this=as_text(left), expression=as_text(right))), TEXT, [left, right])
    if sign == "-" and Family.DATE in (left.family, right.family):
        left, right = fitted(left, right)
    if sign == "-" and left.family is right.family is Family.DATE:
        return built(boxed(exp.Sub(this=guarded(left), expression=guarded(right))), INTEGER, [left, right])
    for term in (left, right):
        if term.family not in NUMBERS:
            raise ConfigError(
                f"{sign} calculates with numbers; here is {term.family.words}{_hint(sign, term.family)}"
            )
    if sign == "%":
        return remainder(left, right)
    return _divided(left, right) if sign == "/" else _calculated(sign, left, right)


def _hint(sign: str, family: Family) -> str:
    if family in TIMES:
        return "; for times there are add_days, days_between and hours_between"
    if family is Family.TEXT:
        return (
            "; texts are put together with ||"
            if sign == "+"
            else "; number(...) reads a number out of a text"
        )
    return ""


def _calculated(sign: str, left: Term, right: Term) -> Term:
    parts = [left, right]
    type_ = _result(sign, parts)
    make = {"numeric": number_node, "bigint": _bigint, "double precision": _double}[type_.sql]
    return built(boxed(_SIGNS[sign](this=make(left), expression=make(right))), type_, parts)


def _result(sign: str, parts: Sequence[Term]) -> SqlType:
    if Family.FLOAT in {part.family for part in parts} and not all(part.constant for part in parts):
        return DOUBLE
    # Products of whole numbers soon need more than 64 bits, and so do literals: numeric has no end.
    small = all(part.family is Family.INTEGER and part.type.sql != "numeric" for part in parts)
    return BIGINT if small and sign != "*" and not all(part.constant for part in parts) else NUMERIC


def _bigint(term: Term) -> exp.Expression:
    return guarded(term) if term.type.sql == "bigint" else to_type(guarded(term), BIGINT)


def _double(term: Term) -> exp.Expression:
    return guarded(term) if term.type.sql == "double precision" else to_type(guarded(term), DOUBLE)


def _divided(left: Term, right: Term) -> Term:
    floating = Family.FLOAT in (left.family, right.family) and not (left.constant and right.constant)
    make = _double if floating else number_node
    divisor = call("nullif", make(right), exp.Literal.number(0))
    type_ = DOUBLE if floating else NUMERIC
    return built(
        boxed(exp.Div(this=make(left), expression=divisor, typed=True)), type_, [left, right], nullable=True
    )


def signed(term: Term, *, minus: bool) -> Term:
    """Put a sign before a number.

    Raises:
        ConfigError: It is none.
    """
    if term.family not in NUMBERS:
        raise ConfigError(f"a sign stands before a number; here is {term.family.words}")
    if not minus:
        return term
    if isinstance(term.literal, int | Decimal):
        return literal_term(-term.literal)
    type_ = DOUBLE if term.family is Family.FLOAT else BIGINT if term.family is Family.INTEGER else NUMERIC
    make = {"numeric": number_node, "bigint": _bigint, "double precision": _double}[type_.sql]
    return built(boxed(exp.Neg(this=make(term))), type_, [term])


def both(left: Term, right: Term) -> Term:
    """Return whether both are true.

    Raises:
        ConfigError: One is no condition.
    """
    return _joined(exp.And, "and", left, right)


def either(left: Term, right: Term) -> Term:
    """Return whether at least one is true.

    Raises:
        ConfigError: One is no condition.
    """
    return _joined(exp.Or, "or", left, right)


def _joined(make: Operator, word: str, left: Term, right: Term) -> Term:
    for term in (left, right):
        _condition(term, word)
    return built(boxed(make(this=guarded(left), expression=guarded(right))), BOOLEAN, [left, right])


def negated(term: Term) -> Term:
    """Return whether a condition is not true.

    Raises:
        ConfigError: It is no condition.
    """
    _condition(term, "not")
    return built(boxed(exp.Not(this=boxed(guarded(term)))), BOOLEAN, [term])


def _condition(term: Term, word: str) -> None:
    if term.family is not Family.BOOLEAN:
        raise ConfigError(f"{word} takes a condition, such as amount > 0; here is {term.family.words}")


def is_null(term: Term, *, no: bool = False) -> Term:
    """Return whether a value is missing, or with `no` whether it is there."""
    node: exp.Expression = exp.Is(this=term.node, expression=exp.Null())
    if no:
        node = exp.Not(this=node)
    return built(boxed(node), BOOLEAN, [term], nullable=False)


def within(value: Term, least: Term, greatest: Term, mode: TextCompare) -> Term:
    """Return whether a value lies between two others, both included.

    Raises:
        ConfigError: They cannot be compared.
    """
    return both(compare(">=", value, least, mode), compare("<=", value, greatest, mode))


def every(terms: Sequence[Term], make: Operator) -> exp.Expression:
    """Join conditions in a balanced tree: a long list must not become a deep one."""
    if len(terms) == 1:
        return terms[0].node
    half = len(terms) // 2
    return boxed(make(this=every(terms[:half], make), expression=every(terms[half:], make)))

"""Numbers: computed in `numeric`, in which nothing overflows, and nothing where there is no result."""

from collections.abc import Sequence

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.makers import Make
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    NUMERIC,
    Operator,
    Term,
    TextCompare,
    built,
    call,
    guarded,
    text_node,
    to_type,
)
from dteg.datasets.types import NUMBERS, Family


def number_node(term: Term) -> exp.Expression:
    """Return a number as `numeric`, in which nothing overflows or is cut to a whole number."""
    node = guarded(term)
    return node if term.family is Family.DECIMAL else to_type(node, NUMERIC)


def absolute(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a number without its sign."""
    type_ = terms[0].type if terms[0].family is Family.FLOAT else NUMERIC
    node = guarded(terms[0]) if terms[0].family is Family.FLOAT else number_node(terms[0])
    return built(call("abs", node), type_, terms)


def numeric(name: str) -> Make:
    """Return what calls a function of a number, in `numeric`."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes = [number_node(terms[0]), *(term.node for term in terms[1:])]
        return built(call(name, *nodes), NUMERIC, terms)

    return make


def root(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a square root; nothing below zero."""
    return _where_defined("sqrt", terms[0], exp.GTE)


def logarithm(name: str) -> Make:
    """Return what makes a logarithm; nothing for zero and below."""
    return lambda terms, mode: _where_defined(name, terms[0], exp.GT)


def _where_defined(name: str, term: Term, test: Operator) -> Term:
    node = number_node(term)
    defined = test(this=node, expression=exp.Literal.number(0))
    return built(exp.Case(ifs=[exp.If(this=defined, true=call(name, node))]), NUMERIC, [term], nullable=True)


def power(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return a number raised to a whole power.

    Raises:
        ConfigError: It is no column's: the planner would work it out at once, however large it becomes.
    """
    if terms[0].constant:
        raise ConfigError("power of a number that is no column: write its result instead")
    node = number_node(terms[0])
    if isinstance(terms[1].literal, int) and terms[1].literal < 0:
        node = call("nullif", node, exp.Literal.number(0))
    return built(call("power", node, terms[1].node), NUMERIC, terms, nullable=True)


def remainder(left: Term, right: Term) -> Term:
    """Return what a division leaves; nothing for a division by zero."""
    divisor = call("nullif", number_node(right), exp.Literal.number(0))
    return built(call("mod", number_node(left), divisor), NUMERIC, [left, right], nullable=True)


def number_of(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Read a number out of a text; nothing if there is none in it, where a cast would fail."""
    if terms[0].family in NUMBERS:
        return built(number_node(terms[0]), NUMERIC, terms)
    if terms[0].family is not Family.TEXT:
        raise ConfigError(f"number reads a text, not {terms[0].family.words}")
    node = call("btrim", text_node(terms[0]))
    form = exp.Literal.string(r"^[-+]?[0-9]{1,100}([.][0-9]{1,100})?$")
    is_number = exp.RegexpLike(this=node, expression=form)
    return built(
        exp.Case(ifs=[exp.If(this=is_number, true=to_type(node, NUMERIC))]),
        NUMERIC,
        [terms[0], terms[0]],
        nullable=True,
    )

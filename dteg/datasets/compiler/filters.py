"""Conditions on rows, and on groups."""

from typing import Protocol

from dteg.core.errors import ConfigError
from dteg.core.yaml import Path_
from dteg.datasets.compiler import arithmetic
from dteg.datasets.compiler.casting import casted_literal
from dteg.datasets.compiler.comparing import compare, is_one_of
from dteg.datasets.compiler.makers import texts
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.relative import relative_term
from dteg.datasets.compiler.scope import Problems
from dteg.datasets.compiler.terms import BOOLEAN, Operator, Term, TextCompare, boxed, literal_term
from dteg.datasets.spec import AllOf, AnyOf, ColumnValue, Condition, Filter, NotOf, Relative

_TESTS = {
    "contains": "contains",
    "starts_with": "starts_with",
    "ends_with": "ends_with",
    "not_contains": "contains",
}
_NEGATED = frozenset(["!=", "not_in", "not_contains", "not_like"])


class References(Protocol):
    """Where columns are looked up."""

    def reference(self, text: str) -> Term:
        """Return a column.

        Raises:
            ConfigError: There is none, or several.
        """
        ...


def filter_term(
    filter_: Filter, references: References, mode: TextCompare, problems: Problems, path: Path_
) -> Term | None:
    """Return a filter as a condition; None if it says nothing, or if something is wrong, which is told to `problems`."""
    if isinstance(filter_, Condition):
        found: list[Term] = []
        with problems.at(*path):
            found.append(_condition(filter_, references, mode))
        return found[0] if found else None
    if isinstance(filter_, NotOf):
        inner = filter_term(filter_.not_, references, mode, problems, (*path, "not"))
        return _not(inner) if inner else None
    word, members = ("all", filter_.all_) if isinstance(filter_, AllOf) else ("any", _members(filter_))
    terms = [
        filter_term(member, references, mode, problems, (*path, word, number))
        for number, member in enumerate(members)
    ]
    known = [term for term in terms if term is not None]
    return _group(known, exp.And if word == "all" else exp.Or) if known else None


def _members(filter_: Filter) -> list[Filter]:
    return filter_.any_ if isinstance(filter_, AnyOf) else []


def _group(terms: list[Term], make: Operator) -> Term:
    # Not `built`: many conditions beside each other are as large as they are, but never deep.
    aliases = frozenset[str]().union(*(term.aliases for term in terms))
    node = arithmetic.every(terms, make)
    return Term(node, BOOLEAN, size=sum(term.size for term in terms), aliases=aliases)


def _not(term: Term) -> Term:
    """Deny a condition; one that is not known because a value is missing is not true, and denied is true.

    People who exclude a value do not mean to exclude rows without a value.
    """
    unknown = exp.Not(this=exp.Is(this=term.node, expression=exp.Boolean(this=True)))
    return Term(boxed(unknown), BOOLEAN, nullable=False, size=term.size + 2, aliases=term.aliases)


def _condition(condition: Condition, references: References, mode: TextCompare) -> Term:
    left = references.reference(condition.col)
    op, value = condition.op, condition.value
    if op in ("is_null", "not_null"):
        return arithmetic.is_null(left, no=op == "not_null")
    if isinstance(value, list):
        found = _list_condition(op, left, value, mode)
    else:
        found = _single(op, left, _value(value, left, references), mode)
    if op not in _NEGATED:
        return found
    return _or_missing(left, found if op == "!=" else arithmetic.negated(found))


def _or_missing(left: Term, denied: Term) -> Term:
    """Let rows without a value pass what excludes a value: that is what people mean by it, and SQL does not.

    Not by `_not`: this form can be left to the database of a source.
    """
    return arithmetic.either(denied, arithmetic.is_null(left)) if left.nullable else denied


def _list_condition(op: str, left: Term, values: list[str | int | float | bool], mode: TextCompare) -> Term:
    terms = [casted_literal(value, left.type) for value in values]
    if op == "between":
        return arithmetic.within(left, terms[0], terms[1], mode)
    if op in ("in", "not_in"):
        return _in(left, terms, mode)
    raise ConfigError(f"op: {op} takes one value")


def _in(left: Term, terms: list[Term], mode: TextCompare) -> Term:
    """Compare with a list; a long one is not counted as a large formula."""
    slim = [
        Term(term.node, term.type, term.nullable, 0, constant=True, literal=term.literal) for term in terms
    ]
    return is_one_of(left, slim, mode)


def _value(value: object, left: Term, references: References) -> Term:
    if isinstance(value, Relative):
        return relative_term(value, left.family)
    if isinstance(value, ColumnValue):
        return references.reference(value.col)
    if isinstance(value, str | int | float | bool):
        return literal_term(value)
    raise ConfigError("this condition needs a value")


def _single(op: str, left: Term, right: Term, mode: TextCompare) -> Term:
    if op in ("like", "not_like"):
        return texts.like(left, right, mode)
    if op in _TESTS:
        return texts.text_test(_TESTS[op], left, right, mode)
    return compare(op, left, right, mode)

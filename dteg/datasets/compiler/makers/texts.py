"""Texts: put together, taken apart, and searched."""

from collections.abc import Sequence

from dteg.core.errors import ConfigError
from dteg.datasets.compiler.makers import Make
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.terms import (
    BOOLEAN,
    TEXT,
    Term,
    TextCompare,
    boxed,
    built,
    call,
    collated,
    guarded,
    key_node,
    order_node,
    text_node,
    to_type,
)
from dteg.datasets.types import Family, SqlType

MAX_REPLACEMENT = 100
MAX_REPLACED = 10_000


def of_text(name: str, type_: SqlType = TEXT) -> Make:
    """Return what calls a function of texts."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes = [text_node(term) if term.family is Family.TEXT else guarded(term) for term in terms]
        return built(call(name, *nodes), type_, terms)

    return make


def as_text(term: Term) -> exp.Expression:
    """Return any value as a text."""
    return text_node(term) if term.family is Family.TEXT else to_type(guarded(term), TEXT)


def concat(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Put values together as a text."""
    return built(call("concat", *(as_text(term) for term in terms)), TEXT, terms, nullable=False)


def replace(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Replace each piece of a text.

    Raises:
        ConfigError: The replacement is not a short text in quotes.
    """
    new = terms[2].literal
    if not isinstance(new, str) or len(new) > MAX_REPLACEMENT:
        raise ConfigError(f"replace puts in a text in quotes of at most {MAX_REPLACEMENT} characters")
    nodes = [collated(text_node(term)) for term in terms]
    # Replacements of replacements would grow without end, already while PostgreSQL plans.
    return built(call("left", call("replace", *nodes), exp.Literal.number(MAX_REPLACED)), TEXT, terms)


def split(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return one of the parts between separators.

    Raises:
        ConfigError: It is number 0.
    """
    if terms[2].literal == 0:
        raise ConfigError("the first part is number 1")
    nodes = [collated(text_node(terms[0])), text_node(terms[1]), terms[2].node]
    return built(call("split_part", *nodes), TEXT, terms)


def padded(name: str) -> Make:
    """Return what fills a text up."""

    def make(terms: Sequence[Term], _mode: TextCompare) -> Term:
        nodes = [text_node(terms[0]), terms[1].node, *(text_node(term) for term in terms[2:])]
        return built(call(name, *nodes), TEXT, terms)

    return make


def text_test(name: str, text: Term, part: Term, mode: TextCompare) -> Term:
    """Ask whether a text `contains`, `starts_with` or `ends_with` another.

    Raises:
        ConfigError: One of them is no text.
    """
    for term in (text, part):
        if term.family is not Family.TEXT:
            raise ConfigError(f"{name.replace('_', ' ')} takes texts, not {term.family.words}")
    whole, piece = order_node(text, mode), key_node(part, mode)
    if name == "contains":
        node: exp.Expression = exp.GT(this=call("strpos", whole, piece), expression=exp.Literal.number(0))
    elif name == "starts_with":
        node = call("starts_with", whole, piece)
    else:
        node = exp.EQ(this=call("right", whole, call("length", piece)), expression=piece)
    return built(boxed(node), BOOLEAN, [text, part, part])


def test_of_text(name: str) -> Make:
    """Return what asks whether a text holds another."""
    return lambda terms, mode: text_test(name, terms[0], terms[1], mode)


def like(text: Term, pattern: Term, mode: TextCompare) -> Term:
    """Compare a text with a pattern of `%` and `_`.

    Raises:
        ConfigError: It is no text, or no pattern.
    """
    if text.family is not Family.TEXT or not isinstance(pattern.literal, str):
        raise ConfigError("like compares a text with a pattern in quotes, such as 'KZ-%'")
    found = pattern.literal
    if (len(found) - len(found.rstrip("\\"))) % 2:
        raise ConfigError("a pattern must not end with a single backslash")
    node = exp.Like(this=order_node(text, mode), expression=key_node(pattern, mode))
    return built(boxed(node), BOOLEAN, [text, pattern])


def text_of(terms: Sequence[Term], _mode: TextCompare) -> Term:
    """Return any value as a text."""
    return built(as_text(terms[0]), TEXT, terms)

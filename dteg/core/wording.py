"""What pydantic finds wrong with a value, in the words of those who write files and commands."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from dteg.core.suggest import did_you_mean

# Of a value that may be one of several kinds, pydantic tells one error for each.
_KINDS = {
    "string_type": "a text (a number, true or false in quotes)",
    "string_unicode": "a text in UTF-8",
    "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number",
    "int_parsing_size": "a whole number", "float_type": "a number", "float_parsing": "a number",
    "decimal_type": "a number", "decimal_parsing": "a number", "finite_number": "a finite number",
    "bool_type": "true or false", "bool_parsing": "true or false", "none_required": "null",
    "time_type": "a time such as 07:00", "time_parsing": "a time such as 07:00",
    "list_type": "a list, such as [a, b]", "tuple_type": "a list, such as [a, b]",
    "dict_type": "a mapping of keys to values", "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}  # fmt: skip
_NAME_PATTERN = re.compile(r"\^\[a-z\]\[a-z0-9_(-?)\]\{0,(\d+)\}\$")
_LIMITS = {
    "greater_than_equal": ("ge", "at least {}"), "greater_than": ("gt", "above {}"),
    "less_than_equal": ("le", "at most {}"), "less_than": ("lt", "below {}"),
}  # fmt: skip


def plain_message(detail: ErrorDetails, value: Any = None) -> str:
    """Return one error as a sentence that says what to write; the value itself is not repeated.

    Args:
        detail: The error, with its context.
        value: What was written, if it is known: for the near miss of a word out of a few.
    """
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "this key is required"
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}"
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"must be {words.format(context[name])}"
    if kind in ("literal_error", "enum"):
        known = context["expected"]
        return _with_near(f"must be {known}", value, re.findall(r"'([^']*)'", known))
    if kind == "union_tag_invalid":
        known = context["expected_tags"]
        return _with_near(
            f"there is no {context['tag']!r}; there are: {known}",
            context["tag"],
            re.findall(r"'([^']*)'", known),
        )
    if kind == "union_tag_not_found":
        return f"the key {context['discriminator'].strip(chr(39))} is required"
    if kind == "string_pattern_mismatch":
        return _pattern(context["pattern"])
    return detail["msg"].removeprefix("Value error, ")


def plain_messages(details: Sequence[ErrorDetails], value: Any = None) -> list[str]:
    """Return the errors of one place: what says something about the value, else all kinds it may be of in one sentence."""
    own = [detail for detail in details if detail["type"] not in _KINDS]
    if own or len(details) == 1:
        return list(dict.fromkeys(plain_message(detail, value) for detail in own or details))
    kinds = {_KINDS[detail["type"]].partition(" (")[0].partition(", such")[0]: None for detail in details}
    if "a number" in kinds:
        kinds.pop("a whole number", None)
    return [f"must be {' or '.join(kinds)}"]


def _pattern(pattern: str) -> str:
    if name := _NAME_PATTERN.fullmatch(pattern):
        signs = "digits, _ and -" if name[1] else "digits and _"
        return f"must be small letters, {signs}, a letter first, {int(name[2]) + 1} characters at the most"
    return f"must be written like the pattern {pattern}"


def _with_near(message: str, word: Any, known: Iterable[str]) -> str:
    near = did_you_mean(word, known) if isinstance(word, str) else ""
    return f"{message}; {near}" if near else message

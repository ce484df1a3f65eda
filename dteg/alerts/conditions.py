"""Conditions such as `rows_loaded > 1000 and stream = "flights"`: compared, never evaluated as code."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

_TERM = re.compile(
    r"""\s*(?P<name>[A-Za-z_][\w.]*)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*"""
    r"""(?:(?P<number>-?\d+(?:\.\d+)?)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>true|false))\s*"""
)
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Term:
    name: str
    sign: str
    value: float | str | bool

    def holds(self, values: Mapping[str, Any]) -> bool:
        known = values.get(self.name)
        if isinstance(known, bool) or not isinstance(known, int | float):
            return type(known) is type(self.value) and _SIGNS[self.sign](known, self.value)
        return isinstance(self.value, float) and _SIGNS[self.sign](known, self.value)


@dataclass(frozen=True, slots=True)
class Condition:
    """Comparisons that must all hold."""

    terms: tuple[_Term, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read comparisons joined by `and`.

        Raises:
            ValueError: It is something else; the message says from which column on.
        """
        terms, at = [], 0
        while True:
            match = _TERM.match(text, at)
            if match is None:
                raise ValueError(
                    f'column {at + 1}: {text[at:].strip()!r} is not a comparison; write name > 1000 or name = "text"'
                )
            terms.append(_Term(match["name"], match["sign"], _value(match)))
            at = match.end()
            if at == len(text):
                return cls(tuple(terms))
            joined = re.compile(r"and\b").match(text, at)
            if joined is None:
                raise ValueError(f"column {at + 1}: expected `and`, found {text[at:]!r}")
            at = joined.end()

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether each comparison holds; one with a value that is not there, or of another type, does not."""
        return all(term.holds(values) for term in self.terms)


def _value(match: re.Match[str]) -> float | str | bool:
    if match["number"] is not None:
        return float(match["number"])
    if match["word"] is not None:
        return match["word"] == "true"
    return match["double"] if match["double"] is not None else match["single"]

"""Conditions on rows that are chosen, not written: a column, how it is compared, and a value."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Protocol
from urllib.parse import urlencode

HOWS = (
    ("is", "is"), ("not", "is not"), ("has", "contains"), ("begins", "begins with"), ("least", "is at least"),
    ("more", "is more than"), ("most", "is at most"), ("less", "is less than"), ("empty", "is empty"),
    ("filled", "is not empty"),
)  # fmt: skip
_SIGNS = {"is": "=", "least": ">=", "more": ">", "most": "<=", "less": "<"}
_TEXTS = ("text", "character", "bpchar", "citext", "name")
_WRONG = re.compile(r'where: invalid input syntax for type (?P<kind>[a-z ]+): "(?P<value>.*)" \(', re.DOTALL)
_NO_DAY = re.compile(r'where: date/time field value out of range: "(?P<value>.*)" \(', re.DOTALL)
_HOLDS = (
    ("date", "days, such as 2026-12-31"), ("timestamp", "times, such as 2026-12-31 or 2026-12-31 17:05"),
    ("boolean", "true or false"), ("bigint", "whole numbers"), ("integer", "whole numbers"),
    ("smallint", "whole numbers"), ("numeric", "numbers"), ("double", "numbers"), ("real", "numbers"),
)  # fmt: skip
_OR = re.compile(r"\bor\b", re.IGNORECASE)


class _Column(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...


def with_chosen(where: str, chosen: Mapping[str, str], columns: Iterable[_Column]) -> str:
    """Return a condition with what was chosen in `column`, `how` and `value` added to it.

    Args:
        where: The condition so far; may be empty.
        chosen: The query of the address.
        columns: Of the table; for a column that is none of them nothing is added.
    """
    types = {each.name: each.type for each in columns}
    name, how = chosen.get("column", ""), chosen.get("how", "is")
    if name not in types or how not in dict(HOWS):
        return where
    added = _condition(name, types[name], how, chosen.get("value", "").strip())
    if not where.strip():
        return added
    return f"{_bracketed(where.strip())} and {_bracketed(added)}"


def plain_refusal(message: str) -> str:
    """Return what is said of a value that does not fit its column in the words of who chose it."""
    for pattern, kind in ((_WRONG, ""), (_NO_DAY, "date")):
        if found := pattern.match(message):
            holds = next((words for name, words in _HOLDS if (kind or found["kind"]).startswith(name)), "")
            return f"\u201c{found['value']}\u201d does not fit: the column holds {holds or found['kind']}"
    return message


def sort_address(path: str, query: Mapping[str, str], key: str) -> Callable[[str], str]:
    """Return what makes the address of a page that is sorted otherwise.

    Args:
        path: Of the page.
        query: What else it shows, such as `where`.
        key: Name of the parameter that says by which column.
    """
    return lambda order: f"{path}?{urlencode({**query, key: order})}#rows"


def _condition(name: str, kind: str, how: str, value: str) -> str:
    column = '"{}"'.format(name.replace('"', '""'))
    is_text = kind.startswith(_TEXTS)
    if how in ("empty", "filled"):
        no, sign, word = ("not ", "!=", "and") if how == "filled" else ("", "=", "or")
        return f"{column} is {no}null" + (f" {word} {column} {sign} ''" if is_text else "")
    if how in ("has", "begins"):
        pattern = re.sub(r"([\\%_])", r"\\\1", value)
        anywhere = "%" if how == "has" else ""
        return f"{column} ilike {_text(f'{anywhere}{pattern}%')}"
    if kind.startswith("timestamp") and (day := _day(value)) is not None:
        return _on_day(column, how, day)
    if how == "not":  # what is empty is another value too
        return f"{column} != {_text(value)} or {column} is null"
    return f"{column} {_SIGNS[how]} {_text(value)}"


def _on_day(column: str, how: str, day: date) -> str:
    """Return a condition on a time that is compared with a whole day."""
    begin, end = f"'{day}'", f"'{day + timedelta(days=1)}'"
    return {
        "is": f"{column} >= {begin} and {column} < {end}",
        "not": f"{column} < {begin} or {column} >= {end} or {column} is null",
        "least": f"{column} >= {begin}", "more": f"{column} >= {end}", "most": f"{column} < {end}",
        "less": f"{column} < {begin}",
    }[how]  # fmt: skip


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _text(value: str) -> str:
    return "'{}'".format(value.replace("'", "''"))


def _bracketed(condition: str) -> str:
    return f"({condition})" if _OR.search(condition) else condition

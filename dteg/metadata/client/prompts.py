"""What a model is told of a database, within a number of tokens: the tables that fit the question best come first."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MAX_TEXT = 240
_MAX_VALUES = 8
_EXAMPLES_SHARE = 0.35  # of the tokens, as long as there are tables to tell of
_RUN = re.compile(r"\w+|[^\w\s]|\s+")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Context:
    """What a model is told.

    Attributes:
        text: The text.
        tables: Ids of the tables that it tells of, the best first.
        examples: The examples in it, the best first.
        tokens: Its length, estimated.
    """

    text: str
    tables: tuple[str, ...]
    examples: tuple[Mapping[str, Any], ...]
    tokens: int


def tokens_of(text: str) -> int:
    """Return how many tokens a text has, estimated on the high side.

    Vocabularies of models differ. A run of letters counts a token per four characters begun (per character beyond
    ASCII), each sign one, spaces nothing but their line break.
    """
    total = 0
    for run in _RUN.findall(text):
        if run[0].isspace():
            total += "\n" in run
        elif run.isascii():
            total += -(-len(run) // 4)
        else:
            total += len(run)
    return total


def context(
    tables: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    *,
    budget_tokens: int,
    heading: str,
) -> Context:
    """Put a text together.

    Args:
        tables: All that may be told of, the best first.
        examples: The same.
        budget_tokens: Most tokens; at least the heading is told.
        heading: The first line.
    """
    parts, left = [heading], budget_tokens - tokens_of(heading)
    shown: list[Mapping[str, Any]] = []
    questions: list[str] = []
    # The best table goes before the examples, and those before the rest: pairs teach more than the tenth table.
    told, used = _tables(tables[:1], left)
    left -= used
    allowed = int(left * _EXAMPLES_SHARE) if len(tables) > 1 else left
    for example in examples:
        text = _example(example)
        if (cost := tokens_of(text) + 2) <= allowed:
            questions.append(text)
            shown.append(example)
            allowed, left = allowed - cost, left - cost
    more, _ = _tables(tables[1:], left - (_HEADING_TOKENS if questions else 0))
    told += more
    if told:
        parts.append("\n".join(text for _, text in told))
    if questions:
        parts.append("\n".join((_EXAMPLES_HEADING, *questions)))
    text = "\n\n".join(parts)
    return Context(text, tuple(each for each, _ in told), tuple(shown), tokens_of(text))


_EXAMPLES_HEADING = "# Questions whose SQL was run"
_HEADING_TOKENS = tokens_of(_EXAMPLES_HEADING) + 8


def _tables(tables: Sequence[Mapping[str, Any]], left: int) -> tuple[list[tuple[str, str]], int]:
    """Return the texts of tables that fit: whole, else their names and types, else not at all."""
    told, used = [], 0
    for table in tables:
        for text in (_whole(table), _brief(table)):
            if used + (cost := tokens_of(text) + 2) <= left:
                told.append((str(table["table_id"]), text))
                used += cost
                break
        if left - used < 8:
            break
    return told, used


def _whole(table: Mapping[str, Any]) -> str:
    lines = [_title(table)]
    keys = set(table.get("primary_key") or ())
    refers = _references(table)
    for column in table.get("columns") or ():
        facts = [_plain(column["type"])]
        if column["name"] in keys:
            facts.append("primary key")
        elif column.get("mode") == "REQUIRED" or column.get("nullable") is False:
            facts.append("not null")
        if to := refers.get(str(column["name"])):
            facts.append(f"-> {to}")
        notes = [part for part in (_sentence(column.get("description")), _values(column)) if part]
        line = f"  {_plain(column['name'])} {', '.join(facts)}"
        lines.append(f"{line}  -- {'; '.join(notes)}" if notes else line)
    lines += [f"  metric {_plain(each.get('name'))}: {_meaning(each)}" for each in table.get("metrics") or ()]
    return "\n".join(lines)


def _meaning(metric: Mapping[str, Any]) -> str:
    return _plain(metric.get("expression") or metric.get("description"))


def _brief(table: Mapping[str, Any]) -> str:
    columns = ", ".join(_plain(each["name"]) for each in table.get("columns") or ())
    return f"table {_plain(table['table_id'])} ({columns})"


def _title(table: Mapping[str, Any]) -> str:
    kind = str(table.get("kind") or "table").replace("_", " ")
    rows = table.get("row_count")
    notes = [_sentence(table.get("description")), f"{rows} rows" if rows is not None else ""]
    said = "; ".join(part for part in notes if part)
    return f"{kind} {_plain(table['table_id'])}" + (f"  -- {said}" if said else "")


def _references(table: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for key in table.get("foreign_keys") or ():
        for column, other in zip(key["columns"], key["ref_columns"], strict=False):
            found[str(column)] = f"{_plain(key['ref_table'])}.{_plain(other)}"
    return found


def _values(column: Mapping[str, Any]) -> str:
    parts = []
    if unit := column.get("unit"):
        parts.append(f"unit {_plain(unit)}")
    if column.get("pii"):
        return "; ".join(parts)  # values of people are in no prompt, whatever the cache holds
    if top := column.get("top_values"):
        named = ", ".join(repr(_plain(each.get("value"), 40)) for each in top[:_MAX_VALUES])
        parts.append(f"values {named}" + (", ..." if len(top) > _MAX_VALUES else ""))
    elif column.get("min") is not None and column.get("max") is not None:
        parts.append(f"from {_plain(column['min'], 40)} to {_plain(column['max'], 40)}")
    return "; ".join(parts)


def _example(example: Mapping[str, Any]) -> str:
    # Its lines stay lines: a comment that begins with -- ends there.
    sql = "\n  ".join(line for each in str(example["sql"]).splitlines() if (line := _plain(each, 4_000)))
    return f"Q: {_plain(example['question'])}\nSQL: {sql}"


def _sentence(value: Any) -> str:
    return _plain(value).removesuffix(".")


def _plain(value: Any, most: int = _MAX_TEXT) -> str:
    """Return a text in one line: what is written in a comment cannot look like a part of the prompt."""
    text = _SPACE.sub(" ", str(value or "")).strip()
    return text if len(text) <= most else f"{text[: most - 3]}..."

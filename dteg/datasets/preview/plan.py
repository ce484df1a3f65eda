"""The plan of a query in words that a person understands."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

MAX_LINES = 40
_JOINS = {
    "Hash Join": "by a table of hashes",
    "Merge Join": "by sorting both",
    "Nested Loop": "one row after the other",
}
_ONCE = {
    "Sort": "Sorts {rows} rows.",
    "Incremental Sort": "Sorts {rows} rows.",
    "Unique": "Leaves out rows that are there twice.",
    "Limit": "Takes {rows} rows.",
    "WindowAgg": "Numbers rows.",
    "Append": "Puts {rows} rows one after the other.",
}
_SCANS = {
    "Seq Scan": "Reads all of {what}",
    "Index Scan": "Looks rows of {what} up by an index",
    "Index Only Scan": "Looks values of {what} up in an index",
    "Bitmap Heap Scan": "Looks rows of {what} up by an index",
}


@dataclass(frozen=True)
class Plan:
    """What PostgreSQL would do.

    Attributes:
        lines: One sentence for each step, in the order in which they happen.
        cost: Its estimate, in its own units.
        rows: Its estimate of the rows that come out.
    """

    lines: list[str]
    cost: float
    rows: int


def explain(connection: psycopg.Connection[Any], sql: str) -> Plan:
    """Ask for the plan of a query; nothing is run.

    Raises:
        psycopg.Error: The query is not taken.
    """
    row = connection.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {sql}".encode()).fetchone()
    found = row[0] if row else []
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    lines = list(_lines(plan))
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"... and {len(lines) - MAX_LINES} more steps."]
    lines.append(f"About {_count(plan)} rows come out.")
    return Plan(lines=lines, cost=float(plan.get("Total Cost", 0.0)), rows=int(plan.get("Plan Rows", 0)))


def _lines(node: dict[str, Any]) -> Iterator[str]:
    for child in node.get("Plans", []):
        yield from _lines(child)
    if line := _line(node):
        yield line


def _line(node: dict[str, Any]) -> str:
    kind = str(node.get("Node Type", ""))
    if kind == "Foreign Scan":
        return _foreign(node)
    if kind in _SCANS:
        left_out = ", and leaves out what does not fit" if "Filter" in node else ""
        return f"{_SCANS[kind].format(what=_name(node))}: about {_count(node)} rows{left_out}."
    if kind in _JOINS:
        way = node.get("Join Type", "Inner").lower()
        return f"Joins both here, {_JOINS[kind]} ({way}): about {_count(node)} rows."
    if kind == "Aggregate":
        keys = node.get("Group Key", [])
        return (
            f"Puts rows together into about {_count(node)} groups."
            if keys
            else "Puts all rows together into one."
        )
    return _ONCE[kind].format(rows=f"about {_count(node)}") if kind in _ONCE else ""


def _foreign(node: dict[str, Any]) -> str:
    remote = str(node.get("Remote SQL", node.get("Remote query", ""))).upper()
    there = [
        what
        for what, sign in (("joins", " JOIN "), ("filters", " WHERE "), ("puts rows together", " GROUP BY "))
        if sign in remote
    ]
    by_itself = f", which {_listed(there)} by itself" if there else ""
    here = ", and leaves out here what does not fit" if "Filter" in node else ""
    what = _name(node) if node.get("Relation Name") else "several tables"
    return f"Fetches about {_count(node)} rows of {what}{_source(node)}{by_itself}{here}."


def _source(node: dict[str, Any]) -> str:
    schema = str(node.get("Schema") or str(node.get("Relations", "")).lstrip("(").partition(".")[0])
    return (
        f" from the source {schema.removeprefix('src_')}"
        if schema.startswith("src_")
        else " from another server"
    )


def _name(node: dict[str, Any]) -> str:
    schema, name = str(node.get("Schema", "")), str(node.get("Relation Name", "rows"))
    if schema == "dict":
        return f"the dictionary {name}"
    if schema in ("ds", "ds_cache"):
        return f"the dataset {name.partition('__g')[0]}"
    return name if schema.startswith("src_") or not schema else f"{schema}.{name}"


def _count(node: dict[str, Any]) -> str:
    return f"{int(node.get('Plan Rows', 0)):,}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

"""What `information_schema` of MySQL and MariaDB says of tables."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dteg.core.queries import load_queries

QUERIES = load_queries(Path(__file__).with_name("mysql.sql"))


def keys_of(rows: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    """Return the primary key and the unique keys of a table; those over parts of values or with nulls are none."""
    by_name: dict[str, list[str]] = defaultdict(list)
    partial = set()
    for index, column, nullable, prefix in rows:
        by_name[index].append(column)
        if prefix is not None or column is None or (nullable == "YES" and index != "PRIMARY"):
            partial.add(index)
    whole = {index: names for index, names in by_name.items() if index not in partial}
    return whole.pop("PRIMARY", []), list(whole.values())


def quoted(name: str) -> str:
    """Return a name as an identifier of MySQL."""
    return "`" + name.replace("`", "``") + "`"

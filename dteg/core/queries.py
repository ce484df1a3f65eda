"""Named queries in `.sql` files: `-- name: x` begins one, `-- ` lines elsewhere are comments; and the short way to ask one."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load_queries(path: Path) -> dict[str, str]:
    """Return the queries of a file by name."""
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def first_value(
    connection: "psycopg.Connection[Any]",
    query: "str | bytes | sql.SQL | sql.Composed",
    values: Sequence[Any] | Mapping[str, Any] | None = None,
) -> Any:
    """Return the first value of the first row; None without a row.

    Args:
        connection: One whose rows are tuples.
        query: A constant of ours, or composed of quoted parts.
        values: Bound to its placeholders.
    """
    row = connection.execute(query.encode() if isinstance(query, str) else query, values).fetchone()
    return row[0] if row else None

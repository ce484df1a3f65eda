"""The columns of a relation, as PostgreSQL's catalogue names them."""

from typing import Any

import psycopg
from psycopg import sql

from dteg.core.columns import Columns
from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName
from dteg.core.sql_types import canonical

Connection = psycopg.Connection[Any]


def describe(connection: Connection, relation: sql.Composable, name: str) -> Columns:
    """Return the columns of a relation with their SQL types.

    Raises:
        ConfigError: It has no columns, or two of the same name.
    """
    cursor = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(relation))
    columns = cursor.description or []
    names = [column.name for column in columns]
    if repeated := [each for each in names if names.count(each) > 1]:
        raise ConfigError(f"stream {name!r} has two columns {repeated[0]!r}; give one another name")
    if not names:
        raise ConfigError(f"stream {name!r} has no columns")
    types = connection.execute(
        "SELECT format_type(t.oid, t.typmod) FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY AS t (oid, typmod, n)"
        " ORDER BY t.n",
        [[column.type_code for column in columns], [_typmod(column) for column in columns]],
    ).fetchall()
    return Columns({each: canonical(type_) for each, (type_,) in zip(names, types, strict=True)})


def _typmod(column: "psycopg.Column") -> int:
    return column._fmod  # noqa: SLF001 - the raw modifier; precision and scale are what psycopg shows


def primary_key(connection: Connection, table: TableName) -> tuple[str, ...]:
    """Return the primary key of a table, in key order; empty for a view or a table without one."""
    rows = connection.execute(
        "SELECT a.attname FROM pg_index AS i CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)"
        " JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
        " WHERE i.indrelid = to_regclass(%s) AND i.indisprimary ORDER BY k.n",
        [table.sql],
    ).fetchall()
    return tuple(name for (name,) in rows)

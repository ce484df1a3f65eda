"""Rows of one table or view, selected without SQL text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from psycopg import sql

from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName
from dteg.core.postgres import connect, translated
from dteg.core.suggest import did_you_mean

STATEMENT_TIMEOUT_MS = 60_000


@dataclass(frozen=True)
class Selection:
    """What to read.

    Attributes:
        table: Table or view.
        columns: Columns; empty for all.
        order_by: Column to sort by, or None.
        descending: Sort downwards.
        limit: Rows at the most.
    """

    table: TableName
    columns: Sequence[str] = ()
    order_by: str | None = None
    descending: bool = False
    limit: int = 20

    @classmethod
    def parse(cls, table: str, columns: Sequence[str], order_by: str, limit: int) -> Self:
        """Read the words of the command line; `-name` sorts downwards."""
        name = order_by.removeprefix("-")
        return cls(TableName.parse(table), columns, name or None, order_by.startswith("-"), limit)


@dataclass(frozen=True)
class Rows:
    """What was read.

    Attributes:
        columns: Names, in order.
        rows: Values.
    """

    columns: list[str]
    rows: list[tuple[Any, ...]]


def read_rows(url: str, selection: Selection) -> Rows:
    """Read rows in a read-only transaction.

    Raises:
        ConfigError: No such table or column; with the near miss.
    """
    with connect(url) as connection, translated("postgres"), connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute("SET LOCAL intervalstyle = postgres")  # the only one that psycopg reads
        connection.execute(
            sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(STATEMENT_TIMEOUT_MS))
        )
        known = _columns(connection, selection.table)
        for name in (*selection.columns, *filter(None, [selection.order_by])):
            if name not in known:
                near = did_you_mean(name, known) or f"there are: {', '.join(known)}"
                raise ConfigError(f"{selection.table} has no column {name!r}; {near}")
        names = list(selection.columns) or known
        query = sql.SQL("SELECT {} FROM {}").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.Identifier(selection.table.schema, selection.table.name),
        )
        if selection.order_by:
            way = sql.SQL("DESC NULLS LAST" if selection.descending else "ASC NULLS LAST")
            query += sql.SQL(" ORDER BY {} {}").format(sql.Identifier(selection.order_by), way)
        query += sql.SQL(" LIMIT {}").format(sql.Literal(selection.limit))
        return Rows(names, connection.execute(query).fetchall())


def _columns(connection: Any, table: TableName) -> list[str]:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum",
        [table.sql],
    ).fetchall()
    if not rows:
        tables = connection.execute(
            "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
        ).fetchall()
        near = did_you_mean(str(table), [name for (name,) in tables])
        raise ConfigError(f"there is no table {table}" + (f"; {near}" if near else ""))
    return [name for (name,) in rows]

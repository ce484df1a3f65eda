"""Tables as the database's catalogue describes them."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.core.errors import ConfigError, NotFoundError
from dteg.core.identifiers import TableName
from dteg.core.queries import load_queries
from dteg.core.sql_types import canonical
from dteg.core.suggest import did_you_mean
from dteg.tables.models import Column, Kind, TableDetail, TableList, TableSummary

QUERIES = load_queries(Path(__file__).parent / "catalogue.sql")
# Counting what fits into so many bytes takes a few hundredths of a second.
MAX_COUNTED_BYTES = 16 << 20
# Just after a load there is no ANALYZE yet, and the planner would guess from the width of a row: often by a factor of 2.
MAX_COUNTED_BYTES_UNANALYZED = 256 << 20
# How long a count or an estimate may wait for a table that is just being changed.
LOCK_TIMEOUT_MS = 500
COUNT_TIMEOUT_MS = 2_000
_KINDS: dict[str, Kind] = {
    "r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table",
}  # fmt: skip
_DROPS: dict[Kind, str] = {
    "table": "TABLE", "partitioned table": "TABLE", "view": "VIEW", "materialized view": "MATERIALIZED VIEW",
    "foreign table": "FOREIGN TABLE",
}  # fmt: skip

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Relation:
    """A table or view that is there.

    Attributes:
        name: Its name.
        oid: Its number in the catalogue.
        kind: What it is.
        columns: Its columns, in order.
        is_text: Whether a column holds texts, by name.
        pages_bytes: Bytes of its rows at the last ANALYZE.
        estimate: Rows at the last ANALYZE; negative without one.
        comment: What the database says about it.
    """

    name: TableName
    oid: int
    kind: Kind
    columns: Sequence[Column]
    is_text: Mapping[str, bool]
    pages_bytes: int
    estimate: int
    comment: str

    @property
    def identifier(self) -> sql.Identifier:
        """The quoted name."""
        return sql.Identifier(self.name.schema, self.name.name)

    @property
    def types(self) -> dict[str, str]:
        """SQL type by column."""
        return {column.name: column.type for column in self.columns}

    @property
    def key(self) -> list[str]:
        """Columns of the primary key."""
        return [column.name for column in self.columns if column.in_key]

    @property
    def drop(self) -> sql.SQL:
        """What stands between DROP and the name."""
        return sql.SQL(_DROPS[self.kind])

    def chosen(self, names: Sequence[str]) -> list[Column]:
        """Return columns by name, all of them without names.

        Raises:
            ConfigError: One does not exist; with the near miss.
        """
        by_name = {column.name: column for column in self.columns}
        for name in names:
            if name not in by_name:
                near = did_you_mean(name, by_name) or f"there are: {', '.join(by_name)}"
                raise ConfigError(f"{self.name} has no column {name!r}; {near}")
        return [by_name[name] for name in names] or list(self.columns)


def look_up(connection: Connection, table: TableName) -> Relation:
    """Return a table or view.

    Raises:
        NotFoundError: There is none; with the near miss.
    """
    row = _query(connection, "relation", schema=table.schema, name=table.name).fetchone()
    if row is None:
        raise unknown_table(connection, table)
    oid, kind, pages_bytes, estimate, comment = row
    found = _query(connection, "columns", oid=oid).fetchall()
    columns = [
        Column(name=name, type=canonical(type_), nullable=nullable, in_key=in_key, comment=about)
        for name, type_, nullable, in_key, about, *_ in found
    ]
    is_text = {name: category in "SE" or base == "citext" for name, *_, category, base in found}
    return Relation(table, oid, _KINDS[kind], columns, is_text, pages_bytes, estimate, comment)


def unknown_table(connection: Connection, table: TableName) -> NotFoundError:
    """Return the error for a table that is not there."""
    names = [name for (name,) in _query(connection, "names").fetchall()]
    near = did_you_mean(str(table), names)
    return NotFoundError(f"there is no table {table}" + (f"; {near}" if near else ""))


def list_tables(
    connection: Connection, schema: str, *, limit: int, after: str = "", exact: bool = False
) -> TableList:
    """Return tables in the order of their names.

    Args:
        connection: In autocommit mode, so that a table that cannot be counted does no harm.
        schema: Only this one; "" for all but those of the database and of dteg.
        limit: Tables at the most.
        after: Begin behind this `schema.table`.
        exact: Count the rows of all tables, however long it takes.

    Raises:
        NotFoundError: There is no such schema.
    """
    behind = TableName.parse(after) if after else None
    values = {
        "schema": schema, "limit": limit + 1, "measured": True,
        "after_schema": behind.schema if behind else "", "after_name": behind.name if behind else "",
    }  # fmt: skip
    _be_brief(connection, exact=exact)
    try:
        rows = _query(connection, "list", **values).fetchall()
    except pg_errors.LockNotAvailable:  # even to measure a table waits for whoever changes it
        rows = _query(connection, "list", **values | {"measured": False}).fetchall()
    if schema and not rows:
        _require_schema(connection, schema)
    items = [_summary(connection, row, exact=exact) for row in rows[:limit]]
    return TableList(items=items, next=items[-1].table if len(rows) > limit else None)


def describe(connection: Connection, table: TableName, *, exact: bool = False) -> TableDetail:
    """Return one table with its columns.

    Raises:
        NotFoundError: There is none.
    """
    relation = look_up(connection, table)
    total, rows, is_exact = measure(connection, relation, exact=exact)
    return TableDetail(
        table=str(table), kind=relation.kind, rows=rows, rows_are_exact=is_exact, bytes=total,
        column_count=len(relation.columns), comment=relation.comment, columns=list(relation.columns),
    )  # fmt: skip


def measure(
    connection: Connection, relation: Relation, *, exact: bool = False
) -> tuple[int, int | None, bool]:
    """Return bytes, rows and whether the rows were counted; a table that is locked has the figures of its last ANALYZE."""
    _be_brief(connection, exact=exact)
    size = total = relation.pages_bytes
    with contextlib.suppress(psycopg.Error):
        size, total = _query(connection, "sizes", oid=relation.oid).fetchone() or (size, total)
    rows, is_exact = count(
        connection, relation.identifier, relation.kind, size, relation.estimate, exact=exact
    )
    return total, rows, is_exact


def _be_brief(connection: Connection, *, exact: bool) -> None:
    connection.execute(
        sql.SQL("SET lock_timeout = {}; SET statement_timeout = {}").format(
            sql.Literal(0 if exact else LOCK_TIMEOUT_MS), sql.Literal(0 if exact else COUNT_TIMEOUT_MS)
        )
    )


def _summary(connection: Connection, row: tuple[Any, ...], *, exact: bool) -> TableSummary:
    schema, name, letter, total, size, columns, estimate, comment = row
    kind = _KINDS[letter]
    # To estimate a foreign table its server is asked: a list of hundreds would wait for each, and for a dead one in vain.
    rows, is_exact = (estimate if estimate >= 0 else None), False
    if exact or kind != "foreign table":
        rows, is_exact = count(connection, sql.Identifier(schema, name), kind, size, estimate, exact=exact)
    return TableSummary(
        table=f"{schema}.{name}", kind=kind, rows=rows, rows_are_exact=is_exact, bytes=total, column_count=columns,
        comment=comment,
    )  # fmt: skip


def count(
    connection: Connection, table: sql.Identifier, kind: Kind, size: int, estimate: int, *, exact: bool
) -> tuple[int | None, bool]:
    """Return the rows of a table, and whether they were counted.

    Small tables are counted, and new ones of a middling size. Of a larger one the planner's estimate is told, which follows the size of the table; of
    a view nothing. A table that is locked or that we may not read has the estimate of its last ANALYZE.
    """
    with contextlib.suppress(psycopg.Error):
        enough = MAX_COUNTED_BYTES if estimate >= 0 else MAX_COUNTED_BYTES_UNANALYZED
        if exact or (kind in ("table", "materialized view") and size <= enough):
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchone()
            return (row[0] if row else None), True
        if kind != "view":
            row = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) SELECT FROM {}").format(table)).fetchone()
            return (int(row[0][0]["Plan"]["Plan Rows"]) if row else None), False
    return (estimate if estimate >= 0 else None), False


def _require_schema(connection: Connection, schema: str) -> None:
    names = [name for (name,) in _query(connection, "schemas").fetchall()]
    if schema not in names:
        near = did_you_mean(schema, names) or f"there are: {', '.join(names)}"
        raise NotFoundError(f"there is no schema {schema!r}; {near}")


def _query(connection: Connection, name: str, /, **values: Any) -> "psycopg.Cursor[Any]":
    return connection.execute(QUERIES[name].encode(), values or None)

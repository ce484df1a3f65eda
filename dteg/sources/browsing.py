"""Rows of one table of a source, to look at: read as the builder, within a deadline, without copying the table."""

from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql
from psycopg.types.string import TextLoader

from dteg.core.errors import ConfigError
from dteg.sources.models import MAX_ROWS, RowPage, SourceTable
from dteg.sources.roles import BUILDER
from dteg.tables.read import plain

ROWS_DEADLINE_S = 15.0
# Python has no infinite dates, none before the year 1, no 24:00 and no months in an interval.
_AS_TEXT = ("date", "timestamp", "timestamptz", "time", "timetz", "interval")

Connection = psycopg.Connection[Any]


def read_page(
    connection: Connection, table: SourceTable, limit: int, offset: int, settings: dict[str, str]
) -> RowPage:
    """Return some rows, in the order of the primary key where the source can sort by it.

    Args:
        connection: To the warehouse, fresh, in autocommit mode.
        table: Which.
        limit: Rows at the most, up to `MAX_ROWS`.
        offset: Rows to pass over.
        settings: What the session needs, from `Sources.link_deadlines`.

    Raises:
        ConfigError: The limits are none, or the table cannot be read.
    """
    if not 1 <= limit <= MAX_ROWS or offset < 0:
        raise ConfigError(f"limit is from 1 to {MAX_ROWS}, and offset not negative")
    if not table.linked:
        raise ConfigError(f"{table.full_name} of {table.source} cannot be read: {table.problem}")
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    query = sql.SQL("SELECT {} FROM {}{} LIMIT {} OFFSET {}").format(
        names, table.relation.identifier, _order(table), sql.Literal(limit + 1), sql.Literal(offset)
    )
    try:
        with connection.transaction(), connection.cursor() as cursor:
            prepare(connection, ROWS_DEADLINE_S, settings)
            for name in _AS_TEXT:
                cursor.adapters.register_loader(name, TextLoader)
            rows = cursor.execute(query).fetchall()
    except (pg_errors.DatetimeFieldOverflow, pg_errors.InvalidDatetimeFormat) as error:
        raise ConfigError(
            f"{table.full_name} holds a date that PostgreSQL has not ({error.diag.message_primary}); have the column"
            " read as text: the option dates_as_text, with table.column"
        ) from None
    return RowPage(
        columns=table.columns,
        rows=[[plain(value) for value in row] for row in rows[:limit]],
        more=len(rows) > limit,
    )


def prepare(connection: Connection, timeout_s: float, settings: dict[str, str]) -> None:
    """Make the transaction of a connection one that only reads, as the builder, and not for long."""
    connection.execute("SET TRANSACTION READ ONLY")
    wanted = {"statement_timeout": str(int(timeout_s * 1000)), "intervalstyle": "postgres", **settings}
    for name, value in wanted.items():
        connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(BUILDER)))


def _order(table: SourceTable) -> sql.Composable:
    """Return the order of pages: by the key, unless the warehouse would have to fetch the whole table to sort it."""
    exact = {column.name for column in table.columns if column.exact}
    if not table.primary_key or exact & set(table.primary_key):
        return sql.SQL("")
    return sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(map(sql.Identifier, table.primary_key)))

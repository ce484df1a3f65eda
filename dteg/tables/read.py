"""Rows of one table or view, selected without SQL text."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.string import TextLoader

from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName
from dteg.tables.catalogue import Connection, Relation, look_up
from dteg.tables.models import Column, ReadRequest, Rows, Selection
from dteg.tables.where import Condition, parse_where

STATEMENT_TIMEOUT_MS = 60_000
# Python has no infinite dates, none before the year 1, no 24:00 and no months in an interval.
_AS_TEXT = ("date", "timestamp", "timestamptz", "time", "timetz", "interval")


@dataclass(frozen=True)
class Query:
    """A SELECT made of checked parts.

    Attributes:
        relation: What it reads.
        columns: What it returns.
        condition: Which rows.
        tail: Order and limits.
    """

    relation: Relation
    columns: Sequence[Column]
    condition: Condition | None
    tail: sql.Composable

    @property
    def values(self) -> Sequence[Any]:
        """What is bound."""
        return self.condition.values if self.condition else ()

    def select(self, expressions: sql.Composable | None = None, alias: str = "") -> sql.Composed:
        """Return the statement; a percent sign in a name is doubled, because values are bound."""
        names = expressions or sql.SQL(", ").join(sql.Identifier(column.name) for column in self.columns)
        query = sql.SQL("SELECT {} FROM {}").format(
            _percent_safe(names), _percent_safe(self.relation.identifier)
        )
        if alias:
            query += sql.SQL(" AS {}").format(sql.Identifier(alias))
        if self.condition:
            query += sql.SQL(" WHERE {}").format(_doubled(self.condition.sql))
        return query + _percent_safe(self.tail)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Say that a value of the condition does not fit its column, where the database only says that a value does not.

        Raises:
            ConfigError: It does not.
        """
        try:
            yield
        except (psycopg.DataError, psycopg.errors.UndefinedFunction) as error:
            if self.condition is None:
                raise
            message = error.diag.message_primary or str(error)
            raise ConfigError(f"where: {self.condition.explain(message)}") from None


def query_of(connection: Connection, table: str, selection: Selection, after: int = 0) -> Query:
    """Check a selection against the table.

    Raises:
        NotFoundError: There is no such table.
        ConfigError: There is no such column, or the condition is none.
    """
    relation = look_up(connection, TableName.parse(table))
    condition = parse_where(selection.where, relation.types, table) if selection.where.strip() else None
    name = selection.order_by.removeprefix("-")
    tail: sql.Composable = sql.SQL("")
    if name:
        relation.chosen([name])
        way = sql.SQL("DESC NULLS LAST" if selection.order_by.startswith("-") else "ASC NULLS LAST")
        tail = sql.SQL(" ORDER BY {} {}").format(sql.Identifier(name), way)
    elif selection.limit is not None and relation.key:  # pages need an order, and the key's costs nothing
        tail = sql.SQL(" ORDER BY {}").format(sql.SQL(", ").join(map(sql.Identifier, relation.key)))
    if selection.limit is not None:
        tail += sql.SQL(" LIMIT {}").format(sql.Literal(selection.limit))
    if after:
        tail += sql.SQL(" OFFSET {}").format(sql.Literal(after))
    return Query(relation, relation.chosen(selection.columns), condition, tail)


def read_rows(connection: Connection, request: ReadRequest) -> Rows:
    """Read rows in a read-only transaction.

    Raises:
        NotFoundError: No such table; with the near miss.
        ConfigError: No such column, or the condition is none.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        connection.execute("SET LOCAL intervalstyle = postgres")
        connection.execute(
            sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(STATEMENT_TIMEOUT_MS))
        )
        assert request.limit is not None, "the model has a default"
        one_more = request.model_copy(update={"limit": request.limit + 1})
        query = query_of(connection, request.table, one_more, request.after)
        with query.explaining(), connection.cursor() as cursor:
            for name in _AS_TEXT:
                cursor.adapters.register_loader(name, TextLoader)
            found = cursor.execute(query.select(), query.values).fetchall()
    more = len(found) > request.limit
    return Rows(
        table=request.table, columns=list(query.columns),
        rows=[[plain(value) for value in row] for row in found[: request.limit]],
        next=request.after + request.limit if more else None,
    )  # fmt: skip


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: exact numbers, dates and everything special as text."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN
    if isinstance(value, str | int | float | bool | dict | None):
        return value
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return format(value, "f") if isinstance(value, Decimal) and value.is_finite() else str(value)


def _percent_safe(part: sql.Composable) -> sql.Composable:
    return sql.SQL(part.as_string(None).replace("%", "%%"))


def _doubled(condition: sql.Composable) -> sql.Composable:
    """Double the percent signs in names, and leave the places for values."""
    if isinstance(condition, sql.Composed):
        return sql.Composed([_doubled(part) for part in condition])
    return condition if isinstance(condition, sql.Placeholder | sql.SQL) else _percent_safe(condition)

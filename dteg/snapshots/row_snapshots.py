"""Whole rows of a dataset at one time: a table for each dataset in `ds_history`, with a partition for each month.

Columns follow the dataset: new ones are added, one whose type changed is set aside under another name. Months that are
too old go at once, as partitions.
"""

import re
from datetime import UTC, datetime
from typing import Any

from psycopg import sql

from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName
from dteg.datasets.models import Generation
from dteg.snapshots import store
from dteg.snapshots.store import Connection

SCHEMA = "ds_history"
SLOT = "snapshot_slot"
MAX_ROWS = 100_000
_MONTH = re.compile(r".*__(\d{4})_(\d{2})")


def refusal(generation: Generation, *, force: bool) -> str:
    """Return why the rows of a generation are too many to be kept; empty if they are not."""
    count = generation.rows or 0
    if count <= MAX_ROWS or force:
        return ""
    return (
        f"its {count:,} rows were not kept: more than {MAX_ROWS:,} each time fill the disk soon; keep metrics only "
        f"(`rows: false`), or take it with --force-rows"
    )


def keep(connection: Connection, generation: Generation, slot: datetime) -> int:
    """Copy the rows of a generation, in the transaction of the caller; return how many. Replaces those of the slot.

    Raises:
        ConfigError: A column is called as the column of the time.
    """
    source = TableName.parse(generation.relation)
    columns = _columns(connection, source)
    if SLOT in columns:
        raise ConfigError(
            f"dataset {generation.dataset} has a column {SLOT}; rename it, or set `rows: false`"
        )
    table = TableName(SCHEMA, generation.dataset)
    _prepare(connection, generation.dataset, table, columns)
    _partition(connection, table, slot)
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(_sql("DELETE FROM {} WHERE {} = {}", table, sql.Identifier(SLOT), sql.Literal(slot)))
    done = connection.execute(
        sql.SQL("INSERT INTO {} ({}, {}) SELECT {}, {} FROM {}").format(
            table.identifier, sql.Identifier(SLOT), names, sql.Literal(slot), names, source.identifier
        )
    )
    return max(done.rowcount, 0)


def drop_months(connection: Connection, relation: str, before: datetime) -> int:
    """Drop the partitions of a table that end before a time; return how many."""
    count = 0
    for row in store.rows(connection, "partitions", relation=relation):
        match = _MONTH.fullmatch(row["relname"])
        if match and _month_after(datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)) <= before:
            connection.execute(_sql("DROP TABLE {}", TableName(SCHEMA, row["relname"])))
            count += 1
    return count


def forget(connection: Connection, dataset: str) -> None:
    """Drop all rows that were kept of a dataset."""
    for row in store.rows(connection, "row_tables", dataset=dataset):
        connection.execute(_sql("DROP TABLE IF EXISTS {}", TableName.parse(row["relation"])))
    store.run(connection, "forget_row_table", dataset=dataset)


def _prepare(connection: Connection, dataset: str, table: TableName, columns: dict[str, str]) -> None:
    there = _columns(connection, table)
    if not there:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SCHEMA)))
        parts = [_column(name, kind) for name, kind in columns.items()]
        connection.execute(
            sql.SQL("CREATE TABLE {} ({} timestamptz NOT NULL, {}) PARTITION BY RANGE ({})").format(
                table.identifier, sql.Identifier(SLOT), sql.SQL(", ").join(parts), sql.Identifier(SLOT)
            )
        )
        connection.execute(_sql("CREATE INDEX ON {} ({})", table, sql.Identifier(SLOT)))
        store.run(connection, "save_row_table", dataset=dataset, relation=str(table))
        return
    for name, kind in columns.items():
        if there.get(name) == kind:
            continue
        if name in there:
            free = next(f"{name[:50]}__{n}" for n in range(1, 10_000) if f"{name[:50]}__{n}" not in there)
            connection.execute(
                _sql(
                    "ALTER TABLE {} RENAME COLUMN {} TO {}", table, sql.Identifier(name), sql.Identifier(free)
                )
            )
        connection.execute(_sql("ALTER TABLE {} ADD COLUMN {}", table, _column(name, kind)))


def _partition(connection: Connection, table: TableName, slot: datetime) -> None:
    first = slot.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    name = TableName(SCHEMA, f"{table.name}__{first:%Y_%m}")
    connection.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})").format(
            name.identifier, table.identifier, sql.Literal(first), sql.Literal(_month_after(first))
        )
    )


def _columns(connection: Connection, relation: TableName) -> dict[str, str]:
    found = connection.execute(store.SQL["columns_of"], {"relation": relation.sql}).fetchall()
    return dict(found)


def _column(name: str, kind: str) -> sql.Composed:
    # The type is the server's own text for a column that it has.
    return sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))


def _month_after(first: datetime) -> datetime:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _sql(text: str, table: TableName, *parts: Any) -> sql.Composed:
    return sql.SQL(text).format(table.identifier, *parts)

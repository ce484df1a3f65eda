"""The relations of generations: built beside what readers see, and dropped when nobody needs them.

A generation is a materialized view `ds_cache."<slug>__g<n>"` over a view of its own, `..__q`, which holds the query.
After the build that view is given an empty query with the same columns: the materialized view keeps its rows, and
nothing of ours keeps a source, a dictionary or another dataset from being changed or dropped. Nobody refreshes a
generation in place, and who tries gets an error, not an empty view.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.core.control import unlock
from dteg.core.identifiers import TableName
from dteg.core.queries import first_value, load_queries
from dteg.datasets import store
from dteg.datasets.models import CACHE_SCHEMA, DatasetColumn

QUERIES = load_queries(Path(__file__).with_name("generations.sql"))
# Readers wait behind us while we wait for a lock, so we give up and try again instead.
LOCK_WAIT_MS = 20
_MAX_INDEXES = 12
_NO_REFRESH = "generations are not refreshed in place; run: dteg dataset refresh {}"
# What an index may fail by that is no fault of the rows: a type without order, a text too long for a page.
_NO_INDEX = (pg_errors.UndefinedObject, pg_errors.ProgramLimitExceeded)

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Built:
    """What a build has made.

    Attributes:
        rows: Number of rows.
        num_bytes: Size with indexes.
        columns: The columns.
    """

    rows: int
    num_bytes: int
    columns: list[DatasetColumn]


@dataclass(frozen=True)
class Plan:
    """What is to be built.

    Attributes:
        slug: Dataset.
        n: Number of the generation.
        query: The compiled SELECT.
        key: Columns that identify a row.
        indexes: Further lists of columns that readers look rows up by.
    """

    slug: str
    n: int
    query: str
    key: Sequence[str] = ()
    indexes: Sequence[Sequence[str]] = ()


def relation_of(slug: str, n: int) -> TableName:
    """Return the materialized view of a generation."""
    return TableName(CACHE_SCHEMA, f"{slug}__g{n}")


def query_of(slug: str, n: int) -> TableName:
    """Return the view that holds its query while it is built."""
    return TableName(CACHE_SCHEMA, f"{slug}__g{n}__q")


def ask(connection: Connection, query: str, /, **values: Any) -> list[tuple[Any, ...]]:
    """Run a query of generations.sql."""
    return connection.execute(QUERIES[query].encode(), values or None).fetchall()


def build(connection: Connection, plan: Plan, limit: Callable[[], None]) -> Built:
    """Build a generation within the caller's transaction, whose role is the builder's.

    Args:
        connection: To the warehouse.
        plan: What is to be built.
        limit: Is called before each step that may take long, and sets the time that is left for it.

    Raises:
        psycopg.Error: The query fails, such as because a source does not answer.
    """
    relation, view = relation_of(plan.slug, plan.n), query_of(plan.slug, plan.n)
    # The query is made of checked parts by the compiler; nothing is bound here, so a percent sign is one.
    connection.execute(f"CREATE VIEW {view.sql} AS {plan.query}".encode())
    limit()
    cursor = connection.execute(
        sql.SQL("CREATE MATERIALIZED VIEW {} AS SELECT * FROM {} WITH DATA").format(
            relation.identifier, view.identifier
        )
    )
    columns = ask(connection, "columns", relation=view.sql)
    _detach(connection, plan.slug, view, columns)
    limit()
    _index(connection, relation, columns, plan)
    limit()
    connection.execute(f"ANALYZE {relation.sql}".encode())
    rows = cursor.rowcount if cursor.rowcount >= 0 else _count(connection, relation)
    return Built(
        rows=rows,
        num_bytes=int(ask(connection, "bytes", relation=relation.sql)[0][0]),
        columns=[
            DatasetColumn(name=name, type=type_, nullable=nullable) for name, type_, nullable, *_ in columns
        ],
    )


def columns_of(connection: Connection, relation: TableName) -> list[tuple[Any, ...]]:
    """Return name, type, nullability and collation of each column; nothing if there is no such relation."""
    return ask(connection, "columns", relation=relation.sql)


def exists(connection: Connection, relation: TableName) -> bool:
    """Whether there is such a relation."""
    return bool(ask(connection, "exists", relation=relation.sql)[0][0])


def drop(connection: Connection, slug: str, n: int) -> str:
    """Drop a generation if nobody reads it now.

    Returns:
        Why it is still there; empty when it is gone.
    """
    relation, view = relation_of(slug, n), query_of(slug, n)
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_MS}ms'".encode())
            connection.execute(f"DROP MATERIALIZED VIEW IF EXISTS {relation.sql}".encode())
            connection.execute(f"DROP VIEW IF EXISTS {view.sql}".encode())
            store.run(connection, "dropped", slug=slug, n=n)
    except pg_errors.LockNotAvailable:
        return "somebody reads it"
    except pg_errors.DependentObjectsStillExist as error:
        return error.diag.message_detail or "something depends on it"
    return ""


def drop_old(connection: Connection, slug: str, keep: int) -> None:
    """Drop generations beyond those that are kept; one in use is tried again after the next refresh.

    Args:
        connection: In autocommit mode, as the warehouse's user.
        slug: Dataset.
        keep: How many are kept, the live one counted.
    """
    for (n,) in store.run(connection, "too_many", slug=slug, keep=max(keep - 1, 0)).fetchall():
        if why := drop(connection, slug, n):
            store.run(connection, "not_dropped", slug=slug, n=n, error=f"not dropped yet: {why}")


def sweep(connection: Connection, slug: str) -> int:
    """Drop what builds that were killed have left; the caller holds the dataset's lock, so nobody builds now.

    Returns:
        How many generations were dropped.
    """
    store.run(connection, "abandoned", slug=slug, error=store.ABANDONED.partition(";")[0])
    found = store.run(connection, "left_over", slug=slug).fetchall()
    return sum(not drop(connection, slug, n) for n, _ in found)


def sweep_all(connection: Connection) -> int:
    """Sweep all datasets that nobody refreshes now; the locks are given back."""
    dropped = 0
    for (slug,) in store.run(connection, "slugs").fetchall():
        if store.first(connection, "lock", slug=slug):
            try:
                dropped += sweep(connection, slug)
            finally:
                unlock(connection, f"dteg dataset {slug}")
    return dropped


def _detach(connection: Connection, slug: str, view: TableName, columns: Sequence[tuple[Any, ...]]) -> None:
    """Give the view of a query the same columns and nothing that it reads."""
    parts = [
        sql.SQL("NULL::{}{} AS {}").format(
            sql.SQL(type_), sql.SQL(f" COLLATE {collation}" if collation else ""), sql.Identifier(name)
        )
        for name, type_, _, collation, _ in columns
    ]
    # A cast of a constant text is an error when the query is planned, and not before.
    refusal = sql.SQL("{}::text::boolean").format(sql.Literal(_NO_REFRESH.format(slug)))
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} WHERE {}").format(
            view.identifier, sql.SQL(", ").join(parts), refusal
        )
    )


def _index(
    connection: Connection, relation: TableName, columns: Sequence[tuple[Any, ...]], plan: Plan
) -> None:
    """Index the key, the wanted lists, and the first column of times, by which most readers filter."""
    done: list[tuple[str, ...]] = []
    if plan.key:
        done.append(tuple(plan.key))
        # Also the proof of a `unique` check; where rows repeat, that check says so and not the build.
        with contextlib.suppress(pg_errors.UniqueViolation, *_NO_INDEX), connection.transaction():
            _create_index(connection, relation, plan.key, unique=True)
    for wanted in (*plan.indexes, *([name] for name, *_, is_time in columns if is_time)):
        if any(each[: len(wanted)] == tuple(wanted) for each in done) or len(done) >= _MAX_INDEXES:
            continue
        with contextlib.suppress(*_NO_INDEX), connection.transaction():
            _create_index(connection, relation, wanted)
        done.append(tuple(wanted))
        if wanted not in plan.indexes:
            break


def _create_index(
    connection: Connection, relation: TableName, columns: Sequence[str], *, unique: bool = False
) -> None:
    connection.execute(
        sql.SQL("CREATE {} INDEX ON {} ({}) {}").format(
            sql.SQL("UNIQUE" if unique else ""),
            relation.identifier,
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL("NULLS NOT DISTINCT" if unique else ""),
        )
    )


def _count(connection: Connection, relation: TableName) -> int:
    return int(first_value(connection, sql.SQL("SELECT count(*) FROM {}").format(relation.identifier)))

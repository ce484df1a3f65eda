"""The swap: one short transaction after which readers of `ds.<slug>` see another generation."""

import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.core.errors import ConflictError, NotFoundError, TransientError
from dteg.core.identifiers import TableName
from dteg.datasets import store
from dteg.datasets.models import VIEW_SCHEMA, GenerationStatus
from dteg.datasets.refreshing.generations import LOCK_WAIT_MS, ask, columns_of, relation_of
from dteg.sources.roles import BUILDER

# Between two attempts readers that queued behind us go first.
_PAUSE_S = (0.02, 0.08)

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Wish:
    """What is to be published.

    Attributes:
        slug: Dataset.
        n: Generation.
        allowed: In which states it may be.
        forward: Refuse one that is older than the live one.
    """

    slug: str
    n: int
    allowed: Collection[GenerationStatus]
    forward: bool = True


def publish(connection: Connection, wish: Wish, patience_s: float) -> None:
    """Let readers see a generation; they wait for at most `LOCK_WAIT_MS`.

    Args:
        connection: In autocommit mode, as the warehouse's user.
        wish: What is to be published.
        patience_s: How long to try while a reader keeps the view from being changed (s).

    Raises:
        ConflictError: The generation is not in a state to be published, or a view that people made does not fit it.
        TransientError: A reader kept the view from being changed all the time.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_MS}ms'".encode())
                _publish(connection, wish)
        except pg_errors.LockNotAvailable:
            if time.monotonic() > deadline:
                raise TransientError(_held(connection, wish.slug), component="datasets") from None
            time.sleep(random.uniform(*_PAUSE_S))  # noqa: S311 - no secret
        else:
            return


def unpublish(connection: Connection, slug: str) -> None:
    """Drop the stable view.

    Raises:
        ConflictError: Something reads it.
    """
    view = _view(slug)
    try:
        with connection.transaction():
            connection.execute(b"SET LOCAL lock_timeout = '2s'")
            connection.execute(f"DROP VIEW IF EXISTS {view.sql}".encode())
    except pg_errors.LockNotAvailable:
        raise ConflictError(_held(connection, slug)) from None
    except pg_errors.DependentObjectsStillExist as error:
        raise ConflictError(f"{view} is needed: {error.diag.message_detail or error}") from None


def _view(slug: str) -> TableName:
    return TableName(VIEW_SCHEMA, slug)


def _publish(connection: Connection, wish: Wish) -> None:
    live = store.first(connection, "own_row", slug=wish.slug)
    status = store.first(connection, "status", slug=wish.slug, n=wish.n)
    if status is None:
        raise NotFoundError(f"dataset {wish.slug} has no generation {wish.n}")
    if status == GenerationStatus.LIVE:
        return
    if status not in wish.allowed:
        raise ConflictError(
            f"generation {wish.n} of dataset {wish.slug} is {status}, so readers cannot be given it; "
            f"see: dteg dataset generations {wish.slug}"
        )
    if wish.forward and live is not None and live > wish.n:
        raise ConflictError(
            f"generation {live} of dataset {wish.slug} is live and newer than {wish.n}; to go back: "
            f"dteg dataset rollback {wish.slug} --to {wish.n}"
        )
    _swap(connection, wish.slug, relation_of(wish.slug, wish.n))
    store.run(connection, "publish", slug=wish.slug, n=wish.n)


def _swap(connection: Connection, slug: str, relation: TableName) -> None:
    """Let the stable view read another relation."""
    view = _view(slug)
    new, old = columns_of(connection, relation), columns_of(connection, view)
    if not new:
        raise ConflictError(
            f"{relation} is not there any more; refresh the dataset: dteg dataset refresh {slug}"
        )
    names = [str(column[0]) for column in new]
    if old == new[: len(old)]:
        # The same columns, or more behind them: rights, comments and what reads the view stay as they are.
        _create(connection, view, relation, names)
        return
    _replace(connection, slug, relation, names)


def _create(connection: Connection, view: TableName, relation: TableName, names: Sequence[str]) -> None:
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(BUILDER)))
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(
            view.identifier,
            sql.SQL(", ").join(map(sql.Identifier, names)),
            relation.identifier,
        )
    )
    connection.execute(b"SET LOCAL ROLE NONE")


@dataclass(frozen=True)
class _Reader:
    """A view that reads the stable view, to be made again as it was.

    Attributes:
        oid: Its number.
        name: Its quoted name.
        query: Its query.
        owner: Whose it is.
        options: Its settings.
        comment: What is said about it.
        grants: Statements that give its rights again; None if they are those of any new view.
    """

    oid: int
    name: str
    query: str
    owner: str
    options: Sequence[str]
    comment: str | None
    grants: Sequence[str] | None

    def create(self, connection: Connection) -> None:
        options = f" WITH ({', '.join(self.options)})" if self.options else ""
        connection.execute(f"CREATE VIEW {self.name}{options} AS {self.query}".encode())
        connection.execute(
            sql.SQL("ALTER VIEW {} OWNER TO {}").format(sql.SQL(self.name), sql.Identifier(self.owner))
        )
        if self.comment is not None:
            connection.execute(
                sql.SQL("COMMENT ON VIEW {} IS {}").format(sql.SQL(self.name), sql.Literal(self.comment))
            )
        _grant(connection, self.name, self.grants)


def _replace(connection: Connection, slug: str, relation: TableName, names: Sequence[str]) -> None:
    """Make the stable view anew with other columns: rights stay, and views that people made on it are made again."""
    view = _view(slug)
    readers = _readers(connection, view)
    oid = connection.execute("SELECT to_regclass(%s)::oid::bigint", [view.sql]).fetchone()
    assert oid is not None, "the view has columns, so it is there"
    grants = _grants(connection, oid[0], view.sql, names)
    try:
        for reader in reversed(readers):
            connection.execute(f"DROP VIEW {reader.name}".encode())
        connection.execute(f"DROP VIEW {view.sql}".encode())
    except (pg_errors.DependentObjectsStillExist, pg_errors.InsufficientPrivilege) as error:
        raise ConflictError(
            f"the columns of {view} changed, and it cannot be made anew: "
            f"{error.diag.message_detail or error.diag.message_primary}"
        ) from None
    _create(connection, view, relation, names)
    _grant(connection, view.sql, grants)
    for reader in readers:
        try:
            reader.create(connection)
        except (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError) as error:
            raise ConflictError(
                f"the view {reader.name} reads {view} and does not fit its new columns "
                f"({error.diag.message_primary}); change or drop that view, then refresh the dataset"
            ) from None


def _readers(connection: Connection, view: TableName) -> list[_Reader]:
    """Return the views that read a view, those that read others last.

    Raises:
        ConflictError: Something reads it that cannot be made again in a moment.
    """
    found = []
    for oid, name, kind, query, owner, options, comment in ask(connection, "dependents", relation=view.sql):
        if kind != "v":
            raise ConflictError(
                f"the columns of {view} changed, and {name} reads it, which is no plain view and is not made anew "
                "here; drop it, refresh the dataset, and make it again"
            )
        grants = _grants(connection, oid, name, None)
        found.append(_Reader(oid, name, query.rstrip(";"), owner, options, comment, grants))
    return found


def _grants(connection: Connection, oid: int, name: str, columns: Sequence[str] | None) -> list[str] | None:
    """Return the statements that give the rights of a relation again; None if nobody has changed them."""
    if not ask(connection, "has_grants", oid=oid)[0][0]:
        return None
    if columns is None:
        query = (
            b"SELECT attname::text FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped"
        )
        columns = [row[0] for row in connection.execute(query, [oid]).fetchall()]
    return [row[0] for row in ask(connection, "grants", oid=oid, name=name, columns=list(columns))]


def _grant(connection: Connection, name: str, grants: Sequence[str] | None) -> None:
    """Give a new relation the rights that the old one had, and no others."""
    if grants is None:
        return
    for (grantee,) in ask(connection, "grantees", relation=name):
        connection.execute(f"REVOKE ALL ON {name} FROM {grantee}".encode())
    for statement in grants:
        connection.execute(statement.encode())


def _held(connection: Connection, slug: str) -> str:
    """Say who keeps the stable view from being changed."""
    view = _view(slug)
    sessions = [
        f"{who} (pid {pid}, {state}" + (f", for {seconds:.0f} s)" if seconds is not None else ")")
        for pid, who, state, seconds in ask(connection, "readers", relation=view.sql)
    ]
    return (
        f"{view} is in use, so it cannot show the new generation: {', '.join(sessions) or 'by a session that is gone now'}; "
        "the rows before stay live; end that session or refresh again"
    )

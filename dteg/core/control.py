"""The tables that operations keep in the schema `_dteg` of the warehouse, and who of several processes works on them.

A domain describes its tables in `dteg/<domain>/schema.sql`, in parts that begin with `-- name: v1`, `-- name: v2`
and so on. A part that has been released is never edited: a change is a new part.
"""

import atexit
import contextlib
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from dteg.core.errors import EnvironmentProblemError
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translated
from dteg.core.project import Project
from dteg.core.queries import first_value, load_queries
from dteg.core.stopping import stoppable

KEPT_CONNECTIONS = 8
_PACKAGE = Path(__file__).parent.parent
# The same lock as the journal of loads takes: `CREATE SCHEMA IF NOT EXISTS` fails when two run it at once.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('_dteg', 0))"
_VERSIONS = """
CREATE TABLE IF NOT EXISTS _dteg.versions (
    domain text PRIMARY KEY,
    version integer NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
)
"""
_HAS_SCHEMA = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = '_dteg')"
_HAS_VERSIONS = "SELECT to_regclass('_dteg.versions') IS NOT NULL"
_SAVE = """
INSERT INTO _dteg.versions (domain, version) VALUES (%s, %s)
ON CONFLICT (domain) DO UPDATE SET version = excluded.version, updated_at = now()
"""


def ensure(connection: psycopg.Connection[Any], domain: str) -> None:
    """Make or update the tables of a domain. Safe to call often and by several processes at once.

    Within a transaction of the caller the tables come and go with it.

    Args:
        connection: A connection to the warehouse.
        domain: The name of a folder of `dteg` with a `schema.sql`.

    Raises:
        EnvironmentProblemError: The tables were made by a newer version of dteg.
    """
    parts = _parts(domain)
    if _version(connection, domain, len(parts)) == len(parts):
        return
    with connection.transaction():
        connection.execute(_LOCK)
        if not first_value(connection, _HAS_SCHEMA):
            connection.execute("CREATE SCHEMA _dteg")
        connection.execute(_VERSIONS)
        version = _version(connection, domain, len(parts))
        for part in parts[version:]:
            connection.execute(part.encode())
        connection.execute(_SAVE, [domain, len(parts)])


def leader(connection: psycopg.Connection[Any], name: str) -> bool:
    """Try to become the one process that does a piece of work; the others get False.

    Leadership lasts as long as the session of `connection`, which therefore must not be pooled or used for work that
    may break it. Who leads has to notice when the connection breaks: by then somebody else may lead.

    Args:
        connection: A connection to the warehouse, of its own and in autocommit mode.
        name: What is to be done, such as `studio`.
    """
    return try_lock(connection, f"dteg leader {name}")


def try_lock(connection: psycopg.Connection[Any], name: str) -> bool:
    """Take a lock that other processes respect if it is free, until `unlock` or the end of the session."""
    return bool(first_value(connection, "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name]))


def unlock(connection: psycopg.Connection[Any], name: str) -> None:
    """Give a lock of `try_lock` back."""
    connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


@contextlib.contextmanager
def session(project: Project, domain: str = "") -> Iterator[WatchedConnection]:
    """Lend a connection to the warehouse, in autocommit mode, with the tables of a domain made.

    Up to `KEPT_CONNECTIONS` are kept for the next call, as new as they were: settings, locks and temporary tables of
    one user are gone for the next. What must own its connection (`LISTEN`, `leader`) opens one with `connect`.

    Args:
        project: Whose warehouse.
        domain: Whose tables are needed; "" for none.

    Raises:
        ConnectorError: The server refuses us, or a statement in the `with` fails.
    """
    url = project.warehouse_url()
    with translated("warehouse"):
        connection = _take(url)
        try:
            if domain:
                ensure(connection, domain)
            with stoppable(connection):
                yield connection
        finally:
            _give_back(url, connection)


_idle: dict[str, list[WatchedConnection]] = {}
_idle_lock = threading.Lock()


@atexit.register
def close_kept() -> None:
    """Close the connections that nobody uses now."""
    with _idle_lock:
        kept = [connection for connections in _idle.values() for connection in connections]
        _idle.clear()
    for connection in kept:
        connection.close()


def _take(url: str) -> WatchedConnection:
    while True:
        with _idle_lock:
            kept = _idle.get(url)
            connection = kept.pop() if kept else None
        if connection is None:
            connection = connect(url, component="warehouse")
            # What `DISCARD ALL` takes away the driver must not believe to be there.
            connection.prepare_threshold = None
            return connection
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:  # the server was restarted meanwhile, or ended an idle session
            connection.close()
        else:
            return connection


def _give_back(url: str, connection: WatchedConnection) -> None:
    try:
        if connection.info.transaction_status is TransactionStatus.IDLE and connection.autocommit:
            connection.execute("DISCARD ALL")
            with _idle_lock:
                kept = _idle.setdefault(url, [])
                if len(kept) < KEPT_CONNECTIONS:
                    kept.append(connection)
                    return
    except psycopg.Error:
        pass
    connection.close()


@cache
def _parts(domain: str) -> tuple[str, ...]:
    parts = load_queries(_PACKAGE / domain / "schema.sql")
    wanted = [f"v{number + 1}" for number in range(len(parts))]
    if not parts or list(parts) != wanted:
        raise AssertionError(f"dteg/{domain}/schema.sql: name its parts v1, v2, ... in this order")
    return tuple(parts.values())


def _version(connection: psycopg.Connection[Any], domain: str, known: int) -> int:
    if not first_value(connection, _HAS_VERSIONS):
        return 0
    version = int(
        first_value(connection, "SELECT version FROM _dteg.versions WHERE domain = %s", [domain]) or 0
    )
    if version > known:
        raise EnvironmentProblemError(
            f"the tables of {domain} in this warehouse were made by a newer dteg (version {version}, this one knows "
            f"{known}); update dteg: uv pip install --upgrade dteg"
        )
    return version

"""Connections of topics to the warehouse, kept between calls: they are used far too often to be made anew."""

import contextlib
import select
import threading
import weakref
from collections.abc import Iterator

import psycopg
from psycopg.pq import TransactionStatus

from dteg.core.control import ensure
from dteg.core.errors import ConfigError, NotFoundError
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translate
from dteg.core.project import Project
from dteg.topics.service import too_large

KEPT_CONNECTIONS = 4
_LOCK_TIMEOUT_S = 20.0


class Warehouse:
    """The database of a project, with the tables of topics.

    Args:
        project: Whose warehouse.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._idle: list[WatchedConnection] = []
        # Whoever forgets to close it leaves no connection behind.
        weakref.finalize(self, _close_all, self._idle)

    def url(self) -> str:
        """Return the warehouse's URL."""
        return self._project.warehouse_url()

    @contextlib.contextmanager
    def connection(self) -> Iterator[WatchedConnection]:
        """Lend a connection in autocommit mode; errors leave as ours.

        Raises:
            ConnectorError: The server cannot be reached, or a statement fails.
        """
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        with translated():
            if connection is not None and not _alive(connection):
                connection.close()
                connection = None
            if connection is None:
                connection = connect(self.url(), component="topics", lock_timeout_s=_LOCK_TIMEOUT_S)
                ensure(connection, "topics")
            try:
                yield connection
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """Close the connections that nobody uses now."""
        with self._lock:
            _close_all(self._idle)

    def _give_back(self, connection: WatchedConnection) -> None:
        if not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE:
            with self._lock:
                if len(self._idle) < KEPT_CONNECTIONS:
                    self._idle.append(connection)
                    return
        connection.close()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise ours for the errors of PostgreSQL, and of the functions in schema.sql."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate == "DT404":
            raise NotFoundError(
                f"{error.diag.message_primary}; dteg topic list shows what there is"
            ) from None
        if error.sqlstate == "DT413":
            number, size, limit = (int(part) for part in (error.diag.message_detail or "0 0 0").split())
            raise ConfigError(too_large(number, size, limit)) from None
        raise translate(error, "topics") from error


def _close_all(connections: list[WatchedConnection]) -> None:
    while connections:
        connections.pop().close()


def _alive(connection: WatchedConnection) -> bool:
    """Whether a kept connection still works, without asking the server."""
    if connection.closed:
        return False
    # A server that ended the session has said so: there is something to read, where nothing should be.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)

"""One at a time: advisory locks of the warehouse's server, which end with the session that has them."""

import contextlib
from collections.abc import Iterator

from dteg.core import control
from dteg.core.errors import ConflictError, DtegError
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translated, with_database
from dteg.core.project import Project

# Locks belong to a database; the warehouse itself may be swapped, and nobody may be connected to it then.
_NEUTRAL = ("postgres", "template1")


@contextlib.contextmanager
def administration(url: str) -> Iterator[WatchedConnection]:
    """Connect to a database of the server that is not one of those we work on."""
    with _neutral(url) as connection, translated("backups"):
        yield connection


def _neutral(url: str) -> WatchedConnection:
    first, second = (with_database(url, name) for name in _NEUTRAL)
    try:
        return connect(first, component="backups")
    except DtegError:
        return connect(second, component="backups")


@contextlib.contextmanager
def server_lock(project: Project, name: str) -> Iterator[None]:
    """Keep other processes of all machines out that use this warehouse.

    Args:
        project: Whose warehouse.
        name: What is locked.

    Raises:
        ConflictError: Somebody has it.
    """
    with administration(project.warehouse_url()) as connection:
        if not try_lock(connection, name):
            raise ConflictError(
                "another backup, restore or prune of the same database is under way; try again later"
            )
        yield


def try_lock(connection: WatchedConnection, name: str) -> bool:
    """Take a lock if it is free, until the connection ends."""
    return control.try_lock(connection, f"dteg backups {name}")

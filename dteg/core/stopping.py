"""Queries that nobody waits for any more are cancelled at the server, not left to run until their time is over.

Who may give work up runs it in a `Stopper`; connections that are lent meanwhile belong to it without knowing.
"""

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import psycopg

from dteg.core.errors import TransientError

CANCEL_TIMEOUT_S = 2.0
_current: "ContextVar[Stopper | None]" = ContextVar("stopper", default=None)


class StoppedError(TransientError):
    """The work was given up by whoever asked for it: ask again."""


class Stopper:
    """One piece of work that may be given up, from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: list[psycopg.Connection[Any]] = []
        self._stopped = False

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Let connections that this thread borrows in the `with` belong to this work."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def stop(self) -> None:
        """Cancel what runs now; connections that are asked for from here on are refused.

        Call it again until the work has ended: between two statements there is nothing to cancel.
        """
        # Under the lock, so that none of them works for somebody else by the time the cancellation arrives.
        with self._lock:
            self._stopped = True
            for connection in self._connections:
                with contextlib.suppress(psycopg.Error):
                    connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)

    def add(self, connection: psycopg.Connection[Any]) -> None:
        """Take a connection in.

        Raises:
            StoppedError: The work was given up.
        """
        with self._lock:
            if self._stopped:
                raise StoppedError("it was stopped", component="warehouse")
            self._connections.append(connection)

    def remove(self, connection: psycopg.Connection[Any]) -> None:
        """Let a connection go; one that is being cancelled is waited for."""
        with self._lock:
            self._connections.remove(connection)


@contextlib.contextmanager
def stoppable(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Let what runs on a connection in the `with` end when the work that it is for is given up.

    Raises:
        StoppedError: It was given up already.
    """
    stopper = _current.get()
    if stopper is None:
        yield
        return
    stopper.add(connection)
    try:
        yield
    finally:
        stopper.remove(connection)

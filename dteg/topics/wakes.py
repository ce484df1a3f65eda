"""Waiting for messages: one connection of the process listens for all who wait.

A notice only says "look again". It may be missing (see `topic_wake` in schema.sql), so who waits also looks by itself:
at once after a notice, then ever more seldom, up to once in `LOOK_S`.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import psycopg

from dteg.core.errors import DtegError
from dteg.core.postgres import connect

T = TypeVar("T")

FIRST_LOOK_S = 0.01
LOOK_S = 1.0
_IDLE_S = 30.0
_LOG = logging.getLogger(__name__)


class Wakes:
    """The notices of one warehouse.

    Args:
        url: Returns the warehouse's URL.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._notices: Counter[int] = Counter()
        self._wanted_until = 0.0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def look(self, topic_id: int, attempt: Callable[[], list[T]], wait_s: float) -> list[T]:
        """Return what `attempt` finds, trying for `wait_s` seconds in all; nothing if it finds nothing.

        Args:
            topic_id: Whose notices make it look again.
            attempt: Looks once.
            wait_s: 0 looks once.
        """
        if wait_s <= 0:
            return attempt()
        deadline = time.monotonic() + wait_s
        pause = FIRST_LOOK_S
        with self._changed:
            self._listen()
            seen = self._notices[topic_id]
        while not (found := attempt()) and (left := deadline - time.monotonic()) > 0:
            with self._changed:
                woken = self._changed.wait_for(lambda: self._notices[topic_id] != seen, min(pause, left))  # noqa: B023 - called here
                seen = self._notices[topic_id]
                self._wanted_until = time.monotonic() + _IDLE_S
            pause = FIRST_LOOK_S if woken else min(pause * 2, LOOK_S)
        return found

    def close(self) -> None:
        """Stop listening, until somebody waits again."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None:
            thread.join(timeout=5)

    def _listen(self) -> None:
        """Keep the thread that listens alive; called with the lock held."""
        self._wanted_until = time.monotonic() + _IDLE_S
        if self._thread is None:
            self._stop = threading.Event()
            # Asked for here: whoever listens later does not start a warehouse that has been stopped meanwhile.
            arguments = (self._stop, self._url())
            self._thread = threading.Thread(target=self._run, args=arguments, name="topics", daemon=True)
            self._thread.start()

    def _run(self, stop: threading.Event, url: str) -> None:
        while not stop.is_set():
            try:
                with connect(url, component="topics") as connection:
                    connection.execute("LISTEN dteg_topics")
                    self._pass_on(connection, stop)
            except (psycopg.Error, DtegError) as error:
                _LOG.warning("topics: not listening for a moment: %s", error)
                stop.wait(LOOK_S)
            with self._changed:
                if self._thread is threading.current_thread() and time.monotonic() >= self._wanted_until:
                    self._thread = None
                    return

    def _pass_on(self, connection: psycopg.Connection[tuple[object, ...]], stop: threading.Event) -> None:
        while not stop.is_set() and time.monotonic() < self._wanted_until:
            for notice in connection.notifies(timeout=0.2):
                with self._changed:
                    self._notices[int(notice.payload)] += 1
                    self._changed.notify_all()

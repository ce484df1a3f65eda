"""Work beside the requests: each worker in a thread, in one process for each project."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import psycopg

from dteg.core.control import leader
from dteg.core.errors import DtegError
from dteg.core.postgres import connect

if TYPE_CHECKING:
    from studio.services import Services

_LOG = logging.getLogger(__name__)
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
# A worker that held out this long has begun anew: its next failure is its first.
_GOOD_RUN_S = 60.0
_LOOK_EVERY_S = 2.0
_END_S = 10.0


class Worker(ABC):
    """One piece of work that goes on as long as the studio runs.

    Args:
        services: Those of the studio.
    """

    name = "worker"

    def __init__(self, services: Services) -> None:
        self.services = services

    @abstractmethod
    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; look at it at least every second.

        An error ends this run: it is logged, and the next one begins after a while, as it does after a return.
        """


class Background:
    """Runs the workers while this process leads; waits to lead otherwise.

    Args:
        services: With the workers in `background`.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        if self._services.background:
            self._thread = threading.Thread(target=self._run, name="background", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End; a worker that does not look at its event is left behind after some seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_END_S + _LOOK_EVERY_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._services.project.warehouse_url(), component="studio") as connection:
                    if leader(connection, "studio"):
                        self._lead(connection)
            except (DtegError, psycopg.Error) as error:
                _LOG.warning("background work waits: %s", error)
            self._stop.wait(_LOOK_EVERY_S)

    def _lead(self, connection: psycopg.Connection[object]) -> None:
        """Run the workers until we stop or the connection, and with it leadership, is lost."""
        over = threading.Event()
        threads = [
            threading.Thread(target=repeat, args=(worker, over), name=worker.name, daemon=True)
            for worker in self._services.background
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._stop.wait(_LOOK_EVERY_S):
                connection.execute("SELECT 1")
        finally:
            over.set()
            deadline = time.monotonic() + _END_S
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
                if thread.is_alive():
                    _LOG.warning("%s does not stop", thread.name)


def repeat(worker: Worker, stop: threading.Event) -> None:
    """Run a worker again and again until `stop` is set, with longer waits while it fails."""
    wait_s = FIRST_WAIT_S
    while not stop.is_set():
        began = time.monotonic()
        try:
            worker.run(stop)
        except DtegError as error:
            _LOG.warning("%s: %s; again in %g s", worker.name, error, wait_s)
        except Exception:  # noqa: BLE001 - whatever it was, the next run may succeed
            _LOG.exception("%s failed; again in %g s", worker.name, wait_s)
        if time.monotonic() - began > _GOOD_RUN_S:
            wait_s = FIRST_WAIT_S
        stop.wait(wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)

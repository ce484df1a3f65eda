"""Who answers questions: one for each source, so that its cache stays in memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dteg.core.errors import UnavailableError
from dteg.core.project import Project
from dteg.metadata.ask import Asker

_AT_ONCE = 2  # each may hold a thread for minutes, and costs what the model costs
_RETRY_S = 10


class Askers:
    """The askers of a project.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._askers: dict[str, Asker] = {}
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def of(self, source: str) -> Asker:
        """Return the one of a source."""
        with self._lock:
            if (kept := self._askers.get(source)) is not None:
                return kept
            asker = Asker.of(self._project, source)
            if asker.client.is_cache_available():  # not for each name that somebody asks for
                self._askers[source] = asker
            return asker

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let few questions be answered at once.

        Raises:
            UnavailableError: There are that many already.
        """
        if not self._turns.acquire(blocking=False):
            raise UnavailableError(
                "other questions are being answered: try again in a moment", retry_after_s=_RETRY_S
            )
        try:
            yield
        finally:
            self._turns.release()

"""Tells the streams of this process that something came to a topic, so that waiting costs no thread for each of them.

One thread for each topic that somebody waits for; it rings, and each stream reads for itself, at its own pace: a slow
client holds up nobody.
"""

import asyncio
import threading
import time
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from dteg.core.errors import DtegError, NotFoundError
from dteg.topics.service import Topics
from studio.services import services_of

_WAIT_S = 1.0
_UNWANTED_S = 30.0
# Rings at most so often; a stream reads all that came meanwhile at once.
_PAUSE_S = 0.02


@dataclass
class _Bell:
    rings: int = 0
    wanted_until: float = 0.0
    waiting: set[tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]] = field(default_factory=set)
    thread: threading.Thread | None = None


class Bells:
    """The bells of one app.

    Args:
        topics: Where messages come from.
        stopping: Set when the app ends.
    """

    def __init__(self, topics: Topics, stopping: threading.Event) -> None:
        self._topics, self._stopping = topics, stopping
        self._bells: dict[str, _Bell] = {}
        self._lock = threading.Lock()

    def rings(self, topic: str) -> int:
        """Return how often it rang for a topic; ask before looking, and give it to `wait`."""
        with self._lock:
            return self._bell(topic).rings

    async def wait(self, topic: str, rings: int, timeout_s: float) -> None:
        """Return when it has rung for a topic since it had rung `rings` times, or after `timeout_s` seconds."""
        loop = asyncio.get_running_loop()
        entry = (loop, loop.create_future())
        with self._lock:
            bell = self._bell(topic)
            if bell.rings != rings:
                return
            bell.waiting.add(entry)
        try:
            await asyncio.wait({entry[1]}, timeout=timeout_s)
        finally:
            with self._lock:
                bell.waiting.discard(entry)

    def _bell(self, topic: str) -> _Bell:
        bell = self._bells.setdefault(topic, _Bell())
        bell.wanted_until = time.monotonic() + _UNWANTED_S
        if bell.thread is None and not self._stopping.is_set():
            bell.thread = threading.Thread(
                target=self._run, args=(topic, bell), name=f"bell {topic}", daemon=True
            )
            bell.thread.start()
        return bell

    def _run(self, topic: str, bell: _Bell) -> None:
        head: int | None = None
        while not self._stopping.is_set():
            try:
                if head is None or self._topics.read(topic, head, limit=1, wait_s=_WAIT_S):
                    head = self._topics.head(topic)
                    self._ring(bell)
                    self._stopping.wait(_PAUSE_S)
            except NotFoundError:
                self._ring(bell)
                self._stopping.wait(_WAIT_S)
            except DtegError:  # the streams notice it too, and say so
                self._stopping.wait(_WAIT_S)
            with self._lock:
                if time.monotonic() > bell.wanted_until:
                    self._bells.pop(topic, None)
                    return

    def _ring(self, bell: _Bell) -> None:
        with self._lock:
            bell.rings += 1
            waiting = list(bell.waiting)
        for loop, future in waiting:
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # the loop has ended
                continue


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def bells_of(connection: HTTPConnection) -> Bells:
    """Return the bells of the app that handles a request."""
    state = connection.app.state
    bells: Bells | None = getattr(state, "bells", None)
    if bells is None:
        services = services_of(connection)
        bells = state.bells = Bells(services.topics, services.stopping)
    return bells

"""Work that each process does again and again beside the requests."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.services import Services

_LOG = logging.getLogger(__name__)
_REST = 3.0
_LONGEST_REST_S = 2.0


async def rest(began: float) -> None:
    """Wait for longer than a piece of work took, so that requests come first: such work gets a quarter of the time.

    Args:
        began: When the work began, by `time.monotonic`.
    """
    await asyncio.sleep(min(_REST * (time.monotonic() - began), _LONGEST_REST_S))


class Repeating:
    """One piece of work, repeated until it is stopped; a failure is logged, and the next turn comes all the same.

    Args:
        services: Nothing runs before these are prepared: the indexes that guard uniqueness may be missing.
        name: For the log.
        every_s: Seconds between the end of a turn and the next.
        work: One turn.
    """

    def __init__(
        self, services: "Services", name: str, every_s: float, work: Callable[[], Awaitable[object]]
    ) -> None:
        self._services, self._name, self._every_s, self._work = services, name, every_s, work
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first turn comes after one interval, or after `wake`."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """Have the next turn now."""
        self._wanted.set()

    async def stop(self) -> None:
        """End, also in the middle of a turn."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._wanted.wait()
            self._wanted.clear()
            if not self._services.prepared:
                continue
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next turn may succeed
                _LOG.warning("%s: %s: %s", self._name, type(error).__name__, error)

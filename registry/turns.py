"""Processes of one machine that do something one after the other."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_LOOK_EVERY_S = 0.05


@asynccontextmanager
async def turn(path: Path, patience_s: float) -> AsyncIterator[bool]:
    """Hold a file while others that want it wait; yield whether it is held. A process that dies lets go of it.

    Args:
        path: The file; it stays, empty.
        patience_s: How long to wait (seconds); after that go on all the same.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_s
    with path.open("w") as file:
        held = _take(file.fileno())
        while not held and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY_S)
            held = _take(file.fileno())
        yield held


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

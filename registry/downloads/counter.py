"""Downloads counted in the memory of one process, and written now and then.

A crash loses what was counted after the last write: at most the counts of `FLUSH_EVERY_S` seconds and of one write,
for that process. A write that fails, or whose answer is lost, is repeated and counts nothing twice.
"""

import asyncio

from registry.downloads.store import Count, DownloadStore
from registry.identifiers import new_id

FLUSH_EVERY_S = 5.0
_AT_ONCE = 1_000


class Counter:
    """Totals of this process since midnight UTC, by component, version, day and kind.

    Args:
        store: Where they are written.
    """

    def __init__(self, store: DownloadStore) -> None:
        self._store = store
        self._writer = new_id()  # another process, or this one after a restart, has another
        self._totals: dict[Count, int] = {}
        self._unwritten: set[Count] = set()
        self._turn = asyncio.Lock()

    def add(self, key: Count) -> None:
        """Count one download."""
        self._totals[key] = self._totals.get(key, 0) + 1
        self._unwritten.add(key)

    async def flush(self, today: int) -> set[str]:
        """Write what is not yet written, and return the components that it was about.

        Raises:
            PyMongoError: The database does not answer; nothing is lost, the next call writes it.
        """
        async with self._turn:
            written = set()
            todo = sorted(self._unwritten)
            for start in range(0, len(todo), _AT_ONCE):
                part = {key: self._totals[key] for key in todo[start : start + _AT_ONCE]}
                await self._store.write(self._writer, part)
                self._unwritten -= {key for key, n in part.items() if self._totals[key] == n}
                written |= {key.component for key in part}
            # A day that is over gets no more; yesterday stays for requests that began before midnight.
            over = [key for key in self._totals if key.day < today - 1 and key not in self._unwritten]
            for key in over:
                del self._totals[key]
            return written

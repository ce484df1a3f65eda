"""Downloads counted in the memory of one process.

What is counted is noted every few seconds: all of it in one write, which waits for the disk once. Into the counts by
component, which are one write for each of them, it goes little by little. A crash loses what was counted after the last
note: at most the counts of `NOTE_EVERY_S` seconds and of one write, for that process; other processes find the notes
of one that is gone. Notes and counts hold totals, so whatever is written twice, or by two, counts nothing twice.
"""

import asyncio
import math
import time
from datetime import datetime

from registry.background import rest
from registry.downloads.store import Count, DownloadStore
from registry.identifiers import new_id

NOTE_EVERY_S = 5.0
WRITE_EVERY_S = 60.0
TURNS = 10
"""Everything is written within so many turns, however much there is."""
LEAST = 40
"""A turn writes at least so much: what is little is written at once."""
_NOTED_AT_ONCE = 2_000
WRITTEN_AT_ONCE = 10


class Counter:
    """Totals of this process since midnight UTC, by component, version, day and kind.

    Args:
        store: Where they are written.
    """

    def __init__(self, store: DownloadStore) -> None:
        self._store = store
        self._writer = new_id()  # another process, or this one after a restart, has another
        self._totals: dict[Count, int] = {}
        self._unnoted: set[Count] = set()
        self._unwritten: set[Count] = set()
        self._notes = 0
        # What is left of a round, how much of it a turn takes, and the notes that are of no more use after it.
        self._round: list[Count] = []
        self._share, self._until, self._dropped = LEAST, 0, 0
        self._noting, self._writing = asyncio.Lock(), asyncio.Lock()

    def add(self, key: Count) -> None:
        """Count one download."""
        self._totals[key] = self._totals.get(key, 0) + 1
        self._unnoted.add(key)
        self._unwritten.add(key)

    async def note(self, now: datetime) -> None:
        """Note what was counted since the last time.

        Raises:
            PyMongoError: The database does not answer; nothing is lost, the next call notes it.
        """
        async with self._noting:
            todo = sorted(self._unnoted)
            for start in range(0, len(todo), _NOTED_AT_ONCE):
                part = self._part(todo[start : start + _NOTED_AT_ONCE])
                await self._store.note(self._writer, self._notes, now, part)
                self._notes += 1
                self._unnoted -= self._same(part)

    async def write(self, today: int) -> set[str]:
        """Write a share of what is not written yet, and return the components that it was about.

        Raises:
            PyMongoError: The database does not answer; nothing is lost, a later call writes it.
        """
        async with self._writing:
            if not self._round:
                self._begin_round()
            written = await self._take(self._share, gently=True)
            if not self._round:
                await self._end_round(today)
            return written

    async def flush(self, today: int) -> set[str]:
        """Write all that was counted until now, and return the components that it was about; for errors see `write`."""
        async with self._writing:
            self._begin_round()
            written = await self._take(len(self._round))
            await self._end_round(today)
            return written

    def _begin_round(self) -> None:
        self._round = sorted(self._unwritten)
        self._share = max(LEAST, math.ceil(len(self._round) / TURNS))
        # Whatever these hold is in this round, or was written before.
        self._until = self._notes

    async def _take(self, count: int, *, gently: bool = False) -> set[str]:
        """Write so many of the round, a few at a time; gently lets requests come between."""
        written = set()
        end = min(count, len(self._round))
        for start in range(0, end, WRITTEN_AT_ONCE):
            began = time.monotonic()
            part = self._part(self._round[start : min(start + WRITTEN_AT_ONCE, end)])
            await self._store.write(self._writer, part)
            same = self._same(part)
            self._unwritten -= same
            self._unnoted -= same
            written |= {key.component for key in part}
            if gently:
                await rest(began)
        del self._round[:end]
        return written

    async def _end_round(self, today: int) -> None:
        """Forget what nobody needs any more."""
        if self._until > self._dropped:
            await self._store.drop_notes(self._writer, self._until)
            self._dropped = self._until
        # A day that is over gets no more; yesterday stays for requests that began before midnight.
        over = [key for key in self._totals if key.day < today - 1 and key not in self._unwritten]
        for key in over:
            del self._totals[key]

    def _part(self, keys: list[Count]) -> dict[Count, int]:
        return {key: self._totals[key] for key in keys if key in self._totals}

    def _same(self, part: dict[Count, int]) -> set[Count]:
        """Return what has not been counted again meanwhile."""
        return {key for key, n in part.items() if self._totals.get(key) == n}

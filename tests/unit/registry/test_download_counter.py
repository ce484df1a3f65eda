"""Downloads are noted, then added up: whatever fails or dies between, nothing that was noted is lost or counted twice."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo.errors import AutoReconnect

from registry.downloads.counter import LEAST, TURNS, Counter
from registry.downloads.store import Count

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TODAY = 20260301


class Store:
    """What the database would hold; a call fails before or after it was done when told to."""

    def __init__(self):
        self.daily, self.notes, self.fails = {}, {}, ""

    async def write(self, writer, totals):
        self.fail("before")
        for key, n in totals.items():
            self.daily[writer, key] = max(n, self.daily.get((writer, key), 0))
        self.fail("after")

    async def note(self, writer, number, at, totals):
        self.fail("before")
        self.notes[writer, number] = dict(totals)
        self.fail("after")

    async def drop_notes(self, writer, until):
        self.fail("before")
        self.notes = {key: each for key, each in self.notes.items() if key[0] != writer or key[1] >= until}
        self.fail("after")

    def fail(self, when):
        if self.fails == when:
            raise AutoReconnect(when)

    async def adopt(self):
        """As `Downloads.adopt` does."""
        for (writer, number), totals in list(self.notes.items()):
            await self.write(writer, totals)
            del self.notes[writer, number]

    def total(self):
        return sum(self.daily.values())


def key(number, day=TODAY):
    return Count(f"team/part{number}-loader", "1.0.0", day, "pip")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(0, 60)),
        st.tuples(st.sampled_from(["note", "write", "flush", "adopt"]), st.sampled_from(["", "before", "after"])),
    ),
    max_size=60,
)  # fmt: skip


@settings(deadline=None)
@given(steps=STEPS)
def test_what_was_noted_is_counted_once_whatever_fails_and_dies(steps):
    async def run():
        store = Store()
        counter = Counter(store)
        counted = noted = 0
        for what, more in steps:
            if what == "count":
                counter.add(key(more))
                counted += 1
                continue
            store.fails = more if what != "adopt" else ""
            before = counted
            try:
                match what:
                    case "note":
                        await counter.note(NOW)
                        noted = before
                    case "write":
                        await counter.write(TODAY)
                    case "flush":
                        await counter.flush(TODAY)
                        noted = before
                        assert store.total() == counted
                    case _:  # by another process, which takes this one for dead
                        await store.adopt()
            except AutoReconnect:
                pass
            store.fails = ""
        # Killed: another process finds what is noted.
        await store.adopt()
        assert noted <= store.total() <= counted

    asyncio.run(run())


def test_much_is_written_in_so_many_turns_and_then_no_note_is_left():
    async def run():
        store = Store()
        counter = Counter(store)
        for number in range(TURNS * LEAST * 2):
            counter.add(key(number))
        await counter.note(NOW)
        sizes = []
        for _ in range(TURNS):
            assert store.notes
            await counter.write(TODAY)
            sizes.append(len(store.daily))
            counter.add(key(0))  # comes again in the next round
        assert sizes == [LEAST * 2 * turn for turn in range(1, TURNS + 1)]
        assert not store.notes
        await counter.write(TODAY)
        assert store.total() == TURNS * LEAST * 2 + TURNS

    asyncio.run(run())


def test_little_is_written_with_the_next_turn():
    async def run():
        store = Store()
        counter = Counter(store)
        counter.add(key(1))
        assert await counter.write(TODAY) == {"team/part1-loader"}
        assert (store.total(), store.notes) == (1, {})
        assert await counter.write(TODAY) == set()

    asyncio.run(run())


def test_a_day_that_is_over_needs_no_note_any_more():
    async def run():
        store = Store()
        counter = Counter(store)
        counter.add(key(1))
        await counter.flush(TODAY + 2)
        await counter.note(NOW)
        assert store.notes == {}

    asyncio.run(run())


def test_a_failed_note_is_noted_again_with_what_came_since():
    async def run():
        store = Store()
        counter = Counter(store)
        counter.add(key(1))
        store.fails = "after"
        with pytest.raises(AutoReconnect):
            await counter.note(NOW)
        store.fails = ""
        counter.add(key(1))
        counter.add(key(2))
        await counter.note(NOW)
        await store.adopt()
        assert store.total() == 3

    asyncio.run(run())

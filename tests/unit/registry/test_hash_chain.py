import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from registry.attestations.models import LogEntry
from registry.audit.models import Entry
from registry.hash_chain import FIRST_HASH, ChainEntry, verify_chain


class Word(ChainEntry):
    before: str
    text: str

    @property
    def hash_before(self):
        return self.before


def chain(*texts):
    words = []
    for seq, text in enumerate(texts, 1):
        before = words[-1].hash if words else FIRST_HASH
        words.append(Word(seq=seq, before=before, text=text).sealed())
    return words


def verify(words, head):
    async def each():
        for word in words:
            yield word

    return asyncio.run(verify_chain(each(), head, noted="signed"))


WORDS = chain("a", "b", "c", "d")
HEAD = (4, WORDS[3].hash)


def changed(number, **values):
    return [word.model_copy(update=values) if word.seq == number else word for word in WORDS]


def test_a_whole_chain_holds_and_names_its_head():
    assert all(later.before == earlier.hash for earlier, later in pairwise(WORDS))
    for head in (None, HEAD, (2, WORDS[1].hash)):
        found = verify(WORDS, head)
        assert (found.ok, found.entries, found.problem, found.head) == (True, 4, "", WORDS[3].hash)
    assert (verify([], None).ok, verify([], None).head) == (True, FIRST_HASH)


@pytest.mark.parametrize(
    ("words", "head", "entries", "problem"),
    [
        (changed(2, text="x"), HEAD, 1, "entry 2 was changed"),
        (changed(2, hash="0" * 64), HEAD, 1, "entry 2 was changed"),
        (changed(3, before="0" * 64), HEAD, 2, "entry 3 does not follow"),
        ([WORDS[0], *WORDS[2:]], HEAD, 1, "entry 2 is missing"),
        (WORDS[1:], HEAD, 0, "entry 1 is missing"),
        (WORDS[:3], HEAD, 3, "ends at entry 3, but entry 4 was signed"),
        ([], HEAD, 0, "ends at entry 0, but entry 4 was signed"),
        (chain("a", "b", "c", "other"), HEAD, 3, "entry 4 is not the one that was signed"),
    ],
)
def test_the_first_thing_that_is_wrong_is_told(words, head, entries, problem):
    found = verify(words, head)
    assert (found.ok, found.entries) == (False, entries)
    assert problem in found.problem


AT = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("entry", "stored"),
    [
        (
            Entry(
                seq=2, actor="01j0", credential="token:01j1", action="release.yank", target="streaming/kafka-extractor@1.2.0",
                at=AT, details={"reason": "\u00e9", "n": 1, "ok": None}, prev_hash="a" * 64,
            ),
            "996af3585d7452b393f3318eaaf6e56505677e62d3abcdecebe94127630cc29e",
        ),
        (
            LogEntry(
                seq=3, key="streaming/kafka-extractor@1.2.0#2", component="streaming/kafka-extractor", version="1.2.0",
                sha256="b" * 64, state="yanked", at=AT, prev="c" * 64,
            ),
            "e246e95b58a88425e5a8df2d02a292fef3b0ad46fc954b74efd891ae5d3f27ba",
        ),
    ],
    ids=["audit", "log"],
)  # fmt: skip
def test_entries_have_the_hashes_that_are_stored(entry, stored):
    """Computed by the version before both logs shared a module: what is stored must go on holding."""
    assert entry.computed_hash() == stored

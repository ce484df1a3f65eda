import asyncio
from itertools import pairwise

import pytest

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

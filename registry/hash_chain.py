"""Entries tied to each other by their hashes: who reads them all finds what was changed, left out or cut off."""

import hashlib
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Self

import orjson
from pydantic import BaseModel, ConfigDict, Field

from registry.documents import Answer

FIRST_HASH = "0" * 64


class ChainEntry(BaseModel):
    """One entry, which holds the hash of the entry before.

    Attributes:
        seq: Its number, from 1, without gaps.
        hash: Hash of all the rest.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    seq: int = Field(alias="_id")
    hash: str = ""

    @property
    @abstractmethod
    def hash_before(self) -> str:
        """`hash` of the entry before, as this entry says."""

    def computed_hash(self) -> str:
        """Return what `hash` must be: the SHA-256 of the entry's JSON with sorted keys, without `hash`."""
        content = self.model_dump(mode="json", exclude={"hash"})
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def sealed(self) -> Self:
        """Return the entry with its hash."""
        return self.model_copy(update={"hash": self.computed_hash()})


class Verification(Answer):
    """Whether the chain holds.

    Attributes:
        ok: Whether it does.
        entries: How many were read.
        problem: The first thing that is wrong; "" if nothing.
        head: Hash of the last entry.
    """

    ok: bool
    entries: int
    problem: str = ""
    head: str = FIRST_HASH


async def verify_chain(
    entries: AsyncIterator[ChainEntry], head: tuple[int, str] | None, *, noted: str
) -> Verification:
    """Read a whole chain and tell the first entry that is missing, changed or cut off.

    Args:
        entries: All of them, the oldest first.
        head: Number and hash of the newest entry, as noted apart; looked up before `entries` are read, so that what
            is appended meanwhile is no gap. None if nothing was ever noted.
        noted: What was done to an entry when it was noted as the head: `appended` or `signed`.
    """
    count, before = 0, FIRST_HASH
    async for entry in entries:
        problem = _problem(entry, count + 1, before)
        if not problem and head is not None and entry.seq == head[0] and entry.hash != head[1]:
            problem = f"entry {entry.seq} is not the one that was {noted}"
        if problem:
            return Verification(ok=False, entries=count, problem=problem, head=before)
        count, before = entry.seq, entry.hash
    if head is not None and head[0] > count:
        problem = f"the log ends at entry {count}, but entry {head[0]} was {noted}"
        return Verification(ok=False, entries=count, problem=problem, head=before)
    return Verification(ok=True, entries=count, head=before)


def _problem(entry: ChainEntry, expected: int, before: str) -> str:
    if entry.seq != expected:
        return f"entry {expected} is missing"
    if entry.hash_before != before:
        return f"entry {entry.seq} does not follow the one before: one of the two was changed"
    return f"entry {entry.seq} was changed" if entry.hash != entry.computed_hash() else ""

"""Entries of the audit log."""

import hashlib
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from registry.documents import Answer

FIRST_HASH = "0" * 64
Detail = str | int | float | bool | None


class Entry(BaseModel):
    """Who did what to what, and the hash that ties it to the entry before.

    Attributes:
        seq: Its number, from 1, without gaps.
        actor: Id of the account, "" for nobody; never a name, which the owner may have deleted.
        credential: Which credential was used, without its secret.
        action: What was done, such as `release.yank`.
        target: To what.
        at: When.
        details: More, without secrets.
        prev_hash: `hash` of the entry before.
        hash: Hash of all the rest.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    seq: int = Field(alias="_id")
    actor: str
    credential: str = ""
    action: str
    target: str
    at: datetime
    details: dict[str, Detail] = {}
    prev_hash: str
    hash: str = ""
    schema_version: int = 1

    def computed_hash(self) -> str:
        """Return what `hash` must be."""
        content = self.model_dump(mode="json", exclude={"hash"})
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def to_mongo(self) -> dict[str, Any]:
        """Return the entry as it is stored."""
        return self.model_dump(by_alias=True)


class EntryAnswer(Answer):
    """An entry, with the actor's present name."""

    seq: int
    actor: str
    login: str
    credential: str
    action: str
    target: str
    at: datetime
    details: dict[str, Detail]
    prev_hash: str
    hash: str


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

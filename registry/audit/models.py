"""Entries of the audit log."""

from datetime import datetime
from typing import Any

from pydantic import Field

from registry.documents import Answer
from registry.hash_chain import ChainEntry

Detail = str | int | float | bool | None


class Entry(ChainEntry):
    """Who did what to what, and the hash that ties it to the entry before.

    Attributes:
        actor: Id of the account, "" for nobody; never a name, which the owner may have deleted.
        credential: Which credential was used, without its secret.
        action: What was done, such as `release.yank`.
        target: To what.
        at: When.
        details: More, without secrets.
        prev_hash: `hash` of the entry before.
    """

    actor: str
    credential: str = ""
    action: str
    target: str
    at: datetime
    details: dict[str, Detail] = Field(default={})
    prev_hash: str
    schema_version: int = 1

    @property
    def hash_before(self) -> str:
        """`prev_hash`."""
        return self.prev_hash

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

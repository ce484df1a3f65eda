"""The collections `audit` and `audit_head`."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from registry.audit.models import Entry
from registry.database import Database

ENTRIES = "audit"
HEAD = "audit_head"
INDEXES = {ENTRIES: [IndexModel("at"), IndexModel("target"), IndexModel("actor")]}
_HEAD_ID = "head"


class AuditStore:
    """Entries by number; nothing here changes or deletes one."""

    def __init__(self, database: Database) -> None:
        self._entries = database[ENTRIES]
        self._head = database[HEAD]

    async def last(self) -> Entry | None:
        """Return the newest entry.

        It is looked for from the noted head on: the embedded server reads all entries to find the newest.
        """
        noted = await self.head()
        found = await self._entries.find_one({"_id": noted[0]}) if noted else None
        if found is None:
            found = await self._entries.find_one({}, sort=[("_id", -1)])
        while found and (after := await self._entries.find_one({"_id": found["_id"] + 1})):
            found = after  # noted after it was appended, so not yet
        return Entry.model_validate(found) if found else None

    async def append(self, entry: Entry) -> bool:
        """Keep an entry; return False if another has taken its number."""
        try:
            await self._entries.insert_one(entry.to_mongo())
        except DuplicateKeyError:
            return False
        # Kept apart, so that cutting off the end of the log is seen.
        with contextlib.suppress(DuplicateKeyError):  # a later entry is noted already
            await self._head.update_one(
                {"_id": _HEAD_ID, "seq": {"$lt": entry.seq}},
                {"$set": {"seq": entry.seq, "hash": entry.hash}},
                upsert=True,
            )
        return True

    async def head(self) -> tuple[int, str] | None:
        """Return number and hash of the newest entry as noted apart."""
        found = await self._head.find_one({"_id": _HEAD_ID})
        return (found["seq"], found["hash"]) if found else None

    async def all(self) -> AsyncIterator[Entry]:
        """Yield all entries, the oldest first."""
        async for document in self._entries.find({}, sort=[("_id", 1)]):
            yield Entry.model_validate(document)

    async def page(self, *, before: int | None, limit: int, target: str, actor: str) -> list[Entry]:
        """Return entries, the newest first."""
        query: dict[str, Any] = {}
        if before is not None:
            query["_id"] = {"$lt": before}
        if target:
            query["target"] = target
        if actor:
            query["actor"] = actor
        cursor = self._entries.find(query, sort=[("_id", -1)], limit=limit)
        return [Entry.model_validate(document) async for document in cursor]

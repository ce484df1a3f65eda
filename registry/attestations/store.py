"""The collections `attestations`, `registry_keys`, `log` and `log_head`; nothing here changes an entry."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from pymongo import IndexModel
from pymongo.errors import BulkWriteError, DuplicateKeyError

from registry.attestations.models import Attestation, LogEntry, RegistryKey
from registry.database import Database

ATTESTATIONS = "attestations"
KEYS = "registry_keys"
LOG = "log"
HEAD = "log_head"
INDEXES = {
    ATTESTATIONS: [IndexModel([("release", 1), ("at", 1)]), IndexModel("subject")],
    LOG: [IndexModel("key", unique=True), IndexModel([("component", 1), ("_id", 1)])],
}
_HEAD_ID = "head"
_DUPLICATE = 11_000  # what MongoDB calls a key that is there already


Head = tuple[int, str, str]
"""Number, hash and signed envelope of the last entry that was signed."""


class AttestationStore:
    """Attestations by digest, keys by id, the log by number."""

    def __init__(self, database: Database) -> None:
        self._attestations = database[ATTESTATIONS]
        self._keys = database[KEYS]
        self._log = database[LOG]
        self._head = database[HEAD]

    # --- attestations -------------------------------------------------------------------------------

    async def keep(self, *attestations: Attestation) -> None:
        """Keep attestations, in one write; keeping one again changes nothing."""
        try:
            await self._attestations.insert_many([each.to_mongo() for each in attestations], ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != _DUPLICATE for each in error.details["writeErrors"]):
                raise

    async def find(self, digest: str) -> Attestation | None:
        """Return an attestation."""
        found = await self._attestations.find_one({"_id": digest})
        return Attestation.from_mongo(found) if found else None

    async def about(self, release: str) -> list[Attestation]:
        """Return the attestations about a release, the oldest first."""
        cursor = self._attestations.find({"release": release}, sort=[("at", 1), ("_id", 1)])
        return [Attestation.from_mongo(document) async for document in cursor]

    # --- keys ---------------------------------------------------------------------------------------

    async def keys(self) -> list[RegistryKey]:
        """Return all keys, the oldest first."""
        cursor = self._keys.find({}, sort=[("from_at", 1)])
        return [RegistryKey.from_mongo(document) async for document in cursor]

    async def announce(self, key: RegistryKey) -> None:
        """Make a key the present one; others end when it begins."""
        with contextlib.suppress(DuplicateKeyError):
            await self._keys.insert_one(key.to_mongo())
            await self._keys.update_many(
                {"_id": {"$ne": key.id}, "to_at": None}, {"$set": {"to_at": key.from_at}}
            )

    # --- log ----------------------------------------------------------------------------------------

    async def last(self, head: Head | None, *, sure: bool = True) -> LogEntry | None:
        """Return the newest entry.

        It is looked for from the signed head on: the embedded server reads all entries to find the newest. One that is
        not signed yet is looked for only to be `sure`: who is not finds the next number taken.
        """
        found = await self.entry(head[0]) if head else None
        if found and not sure:
            return found
        found = found or _entry(await self._log.find_one({}, sort=[("_id", -1)]))
        while found and (after := await self.entry(found.seq + 1)):
            found = after  # signed after it was appended, so not yet
        return found

    async def entry(self, seq: int) -> LogEntry | None:
        """Return an entry."""
        return _entry(await self._log.find_one({"_id": seq}))

    async def by_key(self, key: str) -> LogEntry | None:
        """Return the entry of one change of one release."""
        return _entry(await self._log.find_one({"key": key}))

    async def append(self, entry: LogEntry) -> bool:
        """Keep an entry; return False if its number is taken, or the change is logged already."""
        try:
            await self._log.insert_one(entry.model_dump(by_alias=True))
        except DuplicateKeyError:
            return False
        return True

    async def all(self) -> AsyncIterator[LogEntry]:
        """Yield all entries, the oldest first."""
        async for document in self._log.find({}, sort=[("_id", 1)]):
            yield LogEntry.model_validate(document)

    async def page(self, after: int, limit: int) -> list[LogEntry]:
        """Return entries after a number, the oldest first."""
        cursor = self._log.find({"_id": {"$gt": after}}, sort=[("_id", 1)], limit=limit)
        return [LogEntry.model_validate(document) async for document in cursor]

    async def head(self) -> Head | None:
        """Return number, hash and signed envelope of the last entry that was signed."""
        found = await self._head.find_one({"_id": _HEAD_ID})
        return (found["seq"], found["hash"], found["envelope"]) if found else None

    async def set_head(self, seq: int, entry_hash: str, envelope: str, at: datetime) -> None:
        """Note the signed head, unless a later one is noted already."""
        change: dict[str, Any] = {"seq": seq, "hash": entry_hash, "envelope": envelope, "at": at}
        with contextlib.suppress(DuplicateKeyError):
            await self._head.update_one({"_id": _HEAD_ID, "seq": {"$lt": seq}}, {"$set": change}, upsert=True)


def _entry(document: dict[str, Any] | None) -> LogEntry | None:
    return LogEntry.model_validate(document) if document else None

"""The collections `dl_daily`, `dl_notes` and `installs`.

A process writes what it has counted so far, not what has come since: writing the same twice changes nothing, so a
write whose answer was lost is simply done again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo import IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.downloads.models import Install

DAILY, NOTES, INSTALLS = "dl_daily", "dl_notes", "installs"
INDEXES = {
    DAILY: [IndexModel([("component", 1), ("day", 1)])],
    NOTES: [IndexModel([("writer", 1), ("number", 1)]), IndexModel("at")],
    INSTALLS: [
        IndexModel([("component", 1), ("first_seen", 1)]),
        IndexModel([("user_id", 1), ("component", 1)]),
        IndexModel([("component", 1), ("source", 1)]),
    ],
}


class Count(NamedTuple):
    """What is counted apart; `day` is such as 20260131."""

    component: str
    version: str
    day: int
    kind: str


class Note(NamedTuple):
    """What a process had counted of some things when it wrote this down.

    Attributes:
        id: `writer|number`.
        writer: The process.
        at: When.
        totals: What it had counted.
    """

    id: str
    writer: str
    at: datetime
    totals: dict[Count, int]


class DownloadStore:
    """Downloads by day, what is noted of them, and installations."""

    def __init__(self, database: Database) -> None:
        self._daily = database[DAILY]
        self._notes = database[NOTES]
        self._installs = database[INSTALLS]

    async def write(self, writer: str, totals: Mapping[Count, int]) -> None:
        """Write what one process has counted so far."""
        if totals:
            await self._daily.bulk_write(
                [_update(writer, key, n) for key, n in totals.items()], ordered=False
            )

    async def note(self, writer: str, number: int, at: datetime, totals: Mapping[Count, int]) -> None:
        """Keep a note; one of the same number is replaced."""
        if totals:
            rows = [[*key, n] for key, n in totals.items()]
            note = {"writer": writer, "number": number, "at": at, "totals": rows, "schema_version": 1}
            await self._notes.replace_one({"_id": f"{writer}|{number}"}, note, upsert=True)

    async def drop_notes(self, writer: str, until: int) -> None:
        """Delete the notes of a process before a number."""
        await self._notes.delete_many({"writer": writer, "number": {"$lt": until}})

    async def abandoned(self, before: datetime, limit: int) -> list[Note]:
        """Return notes of before a moment, the oldest first: of processes that are gone, or have not written for long."""
        cursor = self._notes.find({"at": {"$lt": before}}, sort=[("at", 1)], limit=limit)
        return [_note(document) async for document in cursor]

    async def drop_note(self, note: Note) -> None:
        """Delete a note, unless it was replaced."""
        await self._notes.delete_one({"_id": note.id, "at": note.at})

    async def totals(self, component: str, kinds: Sequence[str], since: int) -> tuple[int, int]:
        """Return the downloads of a component ever, and from a day on."""
        recent = {"$sum": {"$cond": [{"$gte": ["$day", since]}, "$n", 0]}}
        stages: list[dict[str, Any]] = [
            {"$match": {"component": component, "kind": {"$in": list(kinds)}}},
            {"$group": {"_id": None, "total": {"$sum": "$n"}, "recent": recent}},
        ]
        rows = [document async for document in await self._daily.aggregate(stages)]
        return (int(rows[0]["total"]), int(rows[0]["recent"])) if rows else (0, 0)

    async def by_day(self, component: str, since: int) -> dict[tuple[int, str], int]:
        """Return the downloads from a day on, by day and kind."""
        stages: list[dict[str, Any]] = [
            {"$match": {"component": component, "day": {"$gte": since}}},
            {"$group": {"_id": {"day": "$day", "kind": "$kind"}, "n": {"$sum": "$n"}}},
        ]
        rows = [document async for document in await self._daily.aggregate(stages)]
        return {(row["_id"]["day"], row["_id"]["kind"]): int(row["n"]) for row in rows}

    # --- installations ---------------------------------------------------------------------------------

    async def insert_install(self, install: Install) -> bool:
        """Keep a new installation; False if it is known."""
        try:
            await self._installs.insert_one(install.to_mongo())
        except DuplicateKeyError:
            return False
        return True

    async def find_install(self, key: str) -> Install | None:
        """Return an installation by `install|component`."""
        return _install(await self._installs.find_one({"_id": key}))

    async def update_install(self, key: str, told_at: datetime, values: dict[str, Any], ok_runs: int) -> None:
        """Change an installation, unless a newer receipt has."""
        await self._installs.update_one(
            {"_id": key, "told_at": {"$lt": told_at}},
            {"$set": {**values, "told_at": told_at}, "$max": {"ok_runs": ok_runs}},
        )

    async def claim_install(self, key: str, user_id: str) -> Install | None:
        """Give an installation that has no account to one, and return it as it is then."""
        claimed = await self._installs.find_one_and_update(
            {"_id": key, "user_id": ""}, {"$set": {"user_id": user_id}}, return_document=ReturnDocument.AFTER
        )
        return _install(claimed) or await self.find_install(key)

    async def install_of(self, user_id: str, component: str) -> Install | None:
        """Return the account's installation of a component that it used last."""
        found = await self._installs.find_one(
            {"user_id": user_id, "component": component}, sort=[("last_seen", -1)]
        )
        return _install(found)

    async def installed_since(self, user_id: str, component: str) -> datetime | None:
        """Return when the account's first receipt of a component came."""
        query = {"user_id": user_id, "component": component}
        found = _install(await self._installs.find_one(query, sort=[("first_seen", 1)]))
        return found.first_seen if found else None

    async def from_source(self, component: str, source: str) -> int:
        """Return how many new installations of a component one address has told today."""
        return await self._installs.count_documents({"component": component, "source": source})

    async def installs(self, component: str, before: datetime) -> tuple[int, int, int]:
        """Count installations of a component: all, those older than a moment, and which of these were kept 30 days."""
        old = {"$lte": ["$first_seen", before]}
        stages: list[dict[str, Any]] = [
            {"$match": {"component": component, "counted": True}},
            {
                "$group": {
                    "_id": None,
                    "all": {"$sum": 1},
                    "old": {"$sum": {"$cond": [old, 1, 0]}},
                    "kept": {"$sum": {"$cond": [{"$and": [old, "$kept"]}, 1, 0]}},
                }
            },
        ]
        rows = [document async for document in await self._installs.aggregate(stages)]
        return (rows[0]["all"], rows[0]["old"], rows[0]["kept"]) if rows else (0, 0, 0)


def _update(writer: str, key: Count, n: int) -> UpdateOne:
    document_id = f"{key.component}|{key.version}|{key.day}|{key.kind}|{writer}"
    return UpdateOne(
        {"_id": document_id}, {"$max": {"n": n}, "$setOnInsert": {**key._asdict(), "schema_version": 1}}, upsert=True
    )  # fmt: skip


def _note(document: dict[str, Any]) -> Note:
    totals = {Count(*row[:-1]): int(row[-1]) for row in document["totals"]}
    return Note(document["_id"], document["writer"], document["at"], totals)


def _install(document: dict[str, Any] | None) -> Install | None:
    return Install.from_mongo(document) if document else None

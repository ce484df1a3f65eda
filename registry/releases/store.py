"""The collections `versions` and `files`. A state changes by one guarded update; a file name is taken for ever."""

from collections.abc import Iterable
from datetime import datetime
from sys import intern
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.releases.models import INSTALLABLE, Claim, IndexedFile, Outline, Release, Rollout, State

VERSIONS = "versions"
FILES = "files"
INDEXES = {
    VERSIONS: [
        IndexModel([("component", 1), ("ver_key", -1)]),
        IndexModel([("state", 1), ("updated_at", 1)]),
        IndexModel([("settled", 1), ("updated_at", 1)]),
    ],
    FILES: [IndexModel("blobs"), IndexModel([("done", 1), ("at", 1)])],
}
_INDEXED = dict.fromkeys(
    (
        "component", "distribution", "version", "filename", "sha256", "size", "metadata_sha256", "published_at",
        "state", "reason", "rollout", "manifest.python_versions", "manifest.pricing.model",
    ),
    1,
)  # fmt: skip
_OUTLINE = dict.fromkeys(Outline.model_fields.keys() - {"id"}, 1)  # the id comes with all


class ReleaseStore:
    """Releases by id, and the names of their files."""

    def __init__(self, database: Database) -> None:
        self._versions = database[VERSIONS]
        self._files = database[FILES]

    # --- claims -------------------------------------------------------------------------------------

    async def claim(self, claim: Claim) -> bool:
        """Take a file's name; return False if it is taken."""
        try:
            await self._files.insert_one(claim.to_mongo())
        except DuplicateKeyError:
            return False
        return True

    async def claim_of(self, filename: str) -> Claim | None:
        """Return who has a file's name."""
        found = await self._files.find_one({"_id": filename})
        return Claim.from_mongo(found) if found else None

    async def unfinished(self, before: datetime, limit: int) -> list[Claim]:
        """Return claims of publishes that were cut off."""
        query = {"done": False, "at": {"$lte": before}}
        return [
            Claim.from_mongo(each) async for each in self._files.find(query, sort=[("at", 1)], limit=limit)
        ]

    async def claim_done(self, filename: str) -> None:
        """Note that a publish went through."""
        await self._files.update_one({"_id": filename}, {"$set": {"done": True, "pending": None}})

    async def wanted(self, sha256: str) -> bool:
        """Return whether a file belongs to some release."""
        return await self._files.find_one({"blobs": sha256}, {"_id": 1}) is not None

    # --- releases -----------------------------------------------------------------------------------

    async def insert(self, release: Release) -> bool:
        """Keep a new release; return False if it is there already."""
        try:
            await self._versions.insert_one(release.to_mongo())
        except DuplicateKeyError:
            return False
        return True

    async def find(self, release_id: str) -> Release | None:
        """Return a release."""
        return _release(await self._versions.find_one({"_id": release_id}))

    async def of(self, component: str) -> list[Release]:
        """Return the releases of a component, the newest version first."""
        cursor = self._versions.find({"component": component}, sort=[("ver_key", -1)])
        return [Release.from_mongo(document) async for document in cursor]

    async def outlines(self, component: str) -> list[Outline]:
        """Return what lists show of the releases of a component, the newest version first."""
        cursor = self._versions.find({"component": component}, _OUTLINE, sort=[("ver_key", -1)])
        return [Outline.from_mongo(document) async for document in cursor]

    async def in_state(self, states: Iterable[State], after: str, limit: int) -> list[Release]:
        """Return releases in one of some states, by id."""
        query = {"state": {"$in": [state.value for state in states]}, "_id": {"$gt": after}}
        cursor = self._versions.find(query, sort=[("_id", 1)], limit=limit)
        return [Release.from_mongo(document) async for document in cursor]

    async def change(
        self, release_id: str, expected: State, values: dict[str, Any], *, moves: bool = False
    ) -> Release | None:
        """Set values of a release that is in a state; None if it is not.

        Args:
            release_id: Which.
            expected: The state it must be in.
            values: What to set.
            moves: Whether the state changes: log and component have to hear of it.
        """
        change: dict[str, Any] = {"$set": {**values, "settled": False} if moves else values}
        if moves:
            change["$inc"] = {"moves": 1}
        return _release(
            await self._versions.find_one_and_update(
                {"_id": release_id, "state": expected.value}, change, return_document=ReturnDocument.AFTER
            )
        )

    async def settle(self, release: Release) -> None:
        """Note that log and component know of the last change, unless there is a newer one."""
        guard = {"_id": release.id, "moves": release.moves}
        await self._versions.update_one(guard, {"$set": {"settled": True}})

    async def unsettled(self, before: datetime, limit: int) -> list[Release]:
        """Return releases whose last change was cut off before log and component heard of it."""
        query = {"settled": False, "updated_at": {"$lte": before}}
        cursor = self._versions.find(query, sort=[("updated_at", 1)], limit=limit)
        return [Release.from_mongo(document) async for document in cursor]

    async def installable(self, component: str) -> list[Release]:
        """Return the releases that may be downloaded, the newest version first."""
        query = {"component": component, "state": {"$in": [state.value for state in INSTALLABLE]}}
        cursor = self._versions.find(query, sort=[("ver_key", -1)])
        return [Release.from_mongo(document) async for document in cursor]

    async def files_of(self, components: list[str]) -> list[IndexedFile]:
        """Return the files that may be downloaded, without what an index does not show; the newest version first."""
        return await self._files_where({"$in": components})

    async def files_between(self, first: str, last: str) -> list[IndexedFile]:
        """Return the same of all components from one id to another, both included.

        The embedded server compares each document with each element of `$in`: for many components it is slow.
        """
        return await self._files_where({"$gte": first, "$lte": last})

    async def _files_where(self, component: dict[str, Any]) -> list[IndexedFile]:
        query = {"component": component, "state": {"$in": [state.value for state in INSTALLABLE]}}
        cursor = self._versions.find(query, _INDEXED, sort=[("component", 1), ("ver_key", -1)])
        return [_file(document) async for document in cursor]


def _file(document: dict[str, Any]) -> IndexedFile:
    rollout = Rollout.model_validate(document["rollout"])
    held_back = document["reason"] or "withdrawn" if document["state"] == State.YANKED else rollout.text
    return IndexedFile(
        # What the files of one component have in common is kept once.
        component=intern(document["component"]), distribution=intern(document["distribution"]),
        version=intern(document["version"]),
        filename=document["filename"], sha256=document["sha256"], size=document["size"],
        metadata_sha256=document["metadata_sha256"], requires_python=intern(document["manifest"]["python_versions"]),
        published_at=document["published_at"], yanked=held_back or None,
        free=document["manifest"]["pricing"]["model"] == "free",
    )  # fmt: skip


def _release(document: dict[str, Any] | None) -> Release | None:
    return Release.from_mongo(document) if document else None

"""The collection `components`, and the counter of their changes."""

from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from dteg.core.errors import ConflictError
from registry.components.models import Component
from registry.database import Database

COMPONENTS = "components"
COUNTERS = "counters"
INDEXES = {
    COMPONENTS: [
        IndexModel([("namespace", 1), ("look", 1)], unique=True),
        IndexModel("distribution", unique=True),
        IndexModel("rev"),
    ]
}
_REV = {"_id": "components.rev"}


class ComponentStore:
    """Components by id and by change."""

    def __init__(self, database: Database) -> None:
        self._components = database[COMPONENTS]
        self._counters = database[COUNTERS]

    async def insert(self, component: Component) -> bool:
        """Keep a new component; return False if it is there already.

        Raises:
            ConflictError: A name of the namespace looks like it.
        """
        try:
            await self._components.insert_one(component.to_mongo())
        except DuplicateKeyError:
            if await self._components.find_one({"_id": component.id}, {"_id": 1}):
                return False
            look = {"namespace": component.namespace, "look": component.look}
            taken = await self._components.find_one(look, {"_id": 1})
            name = taken["_id"] if taken else component.distribution
            raise ConflictError(
                f"{component.id} looks like {name}, which is there already: choose another name"
            ) from None
        return True

    async def find(self, component: str) -> Component | None:
        """Return a component."""
        found = await self._components.find_one({"_id": component})
        return Component.from_mongo(found) if found else None

    async def many(self, ids: list[str]) -> list[Component]:
        """Return components by id."""
        cursor = self._components.find({"_id": {"$in": ids}})
        return [Component.from_mongo(document) async for document in cursor]

    async def changed_since(self, rev: int, until: int | None) -> list[Component]:
        """Return components with a larger `rev`, the smallest first; none larger than `until` unless it is None.

        A limit instead would not do: the embedded server reads all that follow and then drops them.
        """
        wanted = {"$gt": rev} if until is None else {"$gt": rev, "$lte": until}
        cursor = self._components.find({"rev": wanted}, sort=[("rev", 1)])
        return [Component.from_mongo(document) async for document in cursor]

    async def revs(self, after: int = -1, limit: int = 0) -> dict[str, int]:
        """Return the `rev` of components where it is larger, the smallest first; at most `limit` unless it is 0."""
        cursor = self._components.find({"rev": {"$gt": after}}, {"rev": 1}, sort=[("rev", 1)], limit=limit)
        return {document["_id"]: document["rev"] async for document in cursor}

    async def ids(self, after: str, limit: int) -> list[str]:
        """Return ids in order."""
        cursor = self._components.find({"_id": {"$gt": after}}, {"_id": 1}, sort=[("_id", 1)], limit=limit)
        return [document["_id"] async for document in cursor]

    async def in_namespace(self, namespace: str) -> list[str]:
        """Return the ids of a namespace's components."""
        cursor = self._components.find({"namespace": namespace}, {"_id": 1}, sort=[("_id", 1)])
        return [document["_id"] async for document in cursor]

    async def take_rev(self) -> int:
        """Return a number that nobody has had."""
        found = await self._counters.find_one_and_update(
            _REV, {"$inc": {"value": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        # The embedded server does not answer when two make the counter at once: the next number is as good.
        return int(found["value"]) if found else await self.take_rev()

    async def last_rev(self) -> int:
        """Return the newest number that somebody took."""
        found = await self._counters.find_one(_REV)
        return int(found["value"]) if found else 0

    async def change(self, component: str, rev: int, values: dict[str, Any]) -> bool:
        """Set values if nobody has changed the component since it had `rev`; `values` holds the new one."""
        done = await self._components.update_one({"_id": component, "rev": rev}, {"$set": values})
        return bool(done.matched_count)

    async def raise_rev(self, component: str, rev: int, new: int) -> bool:
        """Give the component a newer number, if it still has the old one."""
        return await self.change(component, rev, {"rev": new})

"""The collection `namespaces`. Each change is one guarded update, so that two at once cannot break a rule together."""

from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from dteg.core.errors import ConflictError
from registry.access import Role
from registry.database import Database
from registry.namespaces.models import MAX_KEYS, MAX_MEMBERS, Namespace, PublisherKey

NAMESPACES = "namespaces"
INDEXES = {NAMESPACES: [IndexModel("look", unique=True), IndexModel("members.user")]}


class NamespaceStore:
    """Namespaces by name."""

    def __init__(self, database: Database) -> None:
        self._namespaces = database[NAMESPACES]

    async def insert(self, namespace: Namespace) -> None:
        """Keep a new namespace.

        Raises:
            ConflictError: The name, or one that looks like it, is taken.
        """
        try:
            await self._namespaces.insert_one(namespace.to_mongo())
        except DuplicateKeyError:
            taken = await self._namespaces.find_one({"look": namespace.look})
            name = taken["_id"] if taken else namespace.id
            what = "is taken" if name == namespace.id else f"looks like {name!r}, which is taken"
            raise ConflictError(f"the namespace {namespace.id!r} {what}: choose another name") from None

    async def find(self, name: str) -> Namespace | None:
        """Return a namespace."""
        found = await self._namespaces.find_one({"_id": name})
        return Namespace.from_mongo(found) if found else None

    async def with_member(self, user_id: str) -> list[Namespace]:
        """Return the namespaces of an account."""
        cursor = self._namespaces.find({"members.user": user_id}, sort=[("_id", 1)])
        return [Namespace.from_mongo(document) async for document in cursor]

    async def add_member(self, name: str, user_id: str, role: Role) -> Namespace | None:
        """Add an account that is not a member; None if it is one, or there are too many."""
        return await self._update(
            {"_id": name, "members.user": {"$ne": user_id}, f"members.{MAX_MEMBERS - 1}": {"$exists": False}},
            {"$push": {"members": {"user": user_id, "role": role.value}}},
        )

    async def set_role(self, name: str, user_id: str, role: Role) -> Namespace | None:
        """Change a member's role; None if it is no member, or the last owner."""
        guard: dict[str, Any] = {"_id": name, "members.user": user_id}
        if role is not Role.OWNER:
            guard["members"] = _another_owner(user_id)
        return await self._update(
            guard, {"$set": {"members.$[one].role": role.value}}, array_filters=[{"one.user": user_id}]
        )

    async def remove_member(self, name: str, user_id: str) -> Namespace | None:
        """Remove a member; None if it is none, or the last owner."""
        return await self._update(
            {"_id": name, "members.user": user_id, "members": _another_owner(user_id)},
            {"$pull": {"members": {"user": user_id}}},
        )

    async def add_key(self, name: str, key: PublisherKey) -> Namespace | None:
        """Add a key; None if it is there already, or there are too many."""
        return await self._update(
            {"_id": name, "keys.kid": {"$ne": key.kid}, f"keys.{MAX_KEYS - 1}": {"$exists": False}},
            {"$push": {"keys": key.model_dump()}},
        )

    async def end_key(self, name: str, kid: str, now: Any) -> Namespace | None:
        """Revoke a key from now on; None if there is no such good key."""
        return await self._update(
            {"_id": name, "keys": {"$elemMatch": {"kid": kid, "to_at": None}}},
            {"$set": {"keys.$[one].to_at": now}},
            array_filters=[{"one.kid": kid}],
        )

    async def set_verified(self, name: str, verified: bool) -> Namespace | None:
        """Set the flag; None if there is no such namespace."""
        return await self._update({"_id": name}, {"$set": {"verified": verified}})

    async def _update(
        self, guard: dict[str, Any], change: dict[str, Any], **options: Any
    ) -> Namespace | None:
        found = await self._namespaces.find_one_and_update(
            guard, change, return_document=ReturnDocument.AFTER, **options
        )
        return Namespace.from_mongo(found) if found else None


def _another_owner(user_id: str) -> dict[str, Any]:
    return {"$elemMatch": {"role": Role.OWNER.value, "user": {"$ne": user_id}}}

"""The collections `licences` and `usage_records`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.licences.models import KEPT_ORDERS, Licence, UsageRecord

LICENCES, USAGE = "licences", "usage_records"
INDEXES = {
    LICENCES: [IndexModel("key", unique=True), IndexModel("seller"), IndexModel("organisation")],
    USAGE: [
        IndexModel([("seller", 1), ("invoice", 1), ("period", 1)]),
        IndexModel([("organisation", 1), ("invoice", 1)]),
        IndexModel("invoice"),
    ],
}


class LicenceStore:
    """Licences by component and organisation, and metered use."""

    def __init__(self, database: Database) -> None:
        self._licences = database[LICENCES]
        self._usage = database[USAGE]

    async def find(self, component: str, organisation: str) -> Licence | None:
        """Return the licence of an organisation for a component."""
        return _licence(await self._licences.find_one({"_id": licence_id(component, organisation)}))

    async def by_key(self, key: str) -> Licence | None:
        """Return a licence by its name in addresses."""
        return _licence(await self._licences.find_one({"key": key}))

    async def for_download(self, component: str, organisations: Sequence[str]) -> list[Licence]:
        """Return the licences of some organisations for a component."""
        ids = [licence_id(component, organisation) for organisation in organisations]
        return [Licence.from_mongo(each) async for each in self._licences.find({"_id": {"$in": ids}})]

    async def of(self, namespaces: Sequence[str], *, after: str, limit: int) -> list[Licence]:
        """Return the licences that some namespaces sell or have, by key."""
        names = {"$in": list(namespaces)}
        query: dict[str, Any] = {"$or": [{"seller": names}, {"organisation": names}]}
        if after:
            query["key"] = {"$gt": after}
        cursor = self._licences.find(query, sort=[("key", 1)], limit=limit)
        return [Licence.from_mongo(document) async for document in cursor]

    async def good(
        self, organisations: Sequence[str], now: datetime, *, after: str, limit: int
    ) -> list[Licence]:
        """Return the licences of some organisations that hold now, by key."""
        query = {
            "organisation": {"$in": list(organisations)}, "key": {"$gt": after}, "revoked_at": None,
            "starts_at": {"$lte": now}, "$or": [{"until": None}, {"until": {"$gt": now}}],
        }  # fmt: skip
        cursor = self._licences.find(query, sort=[("key", 1)], limit=limit)
        return [Licence.from_mongo(document) async for document in cursor]

    async def insert(self, licence: Licence) -> bool:
        """Keep a new licence; False if there is one."""
        try:
            await self._licences.insert_one(licence.to_mongo())
        except DuplicateKeyError:
            return False
        return True

    async def change(self, seen: Licence, values: dict[str, Any], order: str = "") -> Licence | None:
        """Change a licence, and note the order that it comes from; None if it has changed since it was seen."""
        change: dict[str, Any] = {"$set": values, "$inc": {"rev": 1}}
        if order:
            change["$push"] = {"orders": {"$each": [order], "$slice": -KEPT_ORDERS}}
        return _licence(
            await self._licences.find_one_and_update(
                {"_id": seen.id, "rev": seen.rev}, change, return_document=ReturnDocument.AFTER
            )
        )

    async def take_seat(self, licence: Licence, user_id: str) -> bool:
        """Give an account a seat; False if all are taken, or the number of seats has just changed."""
        assert licence.seats is not None
        done = await self._licences.update_one(
            {
                "_id": licence.id, "seats": licence.seats, "users": {"$ne": user_id},
                f"users.{licence.seats - 1}": {"$exists": False},
            },
            {"$push": {"users": user_id}, "$inc": {"rev": 1}},
        )  # fmt: skip
        return bool(done.matched_count)

    async def free_seat(self, key: str, user_id: str) -> bool:
        """Take an account's seat away; False if it has none."""
        done = await self._licences.update_one(
            {"key": key, "users": user_id}, {"$pull": {"users": user_id}, "$inc": {"rev": 1}}
        )
        return bool(done.matched_count)

    # --- metered use -----------------------------------------------------------------------------------

    async def insert_usage(self, record: UsageRecord) -> UsageRecord | None:
        """Keep a record; return the present one if it is known."""
        try:
            await self._usage.insert_one(record.to_mongo())
        except DuplicateKeyError:
            found = await self._usage.find_one({"_id": record.id})
            return UsageRecord.from_mongo(found) if found else None
        return None

    async def unbilled(self, seller: str, period: str) -> set[tuple[str, str]]:
        """Return organisation and currency of what a seller has not billed up to a month."""
        stages: list[dict[str, Any]] = [
            {"$match": {"seller": seller, "invoice": None, "period": {"$lte": period}}},
            {"$group": {"_id": {"organisation": "$organisation", "currency": "$currency"}}},
        ]
        rows = [document["_id"] async for document in await self._usage.aggregate(stages)]
        return {(row["organisation"], row["currency"]) for row in rows}

    async def open_usage(self, namespace: str) -> list[dict[str, Any]]:
        """Return the rows on no invoice that a namespace sold or used, by licence, month and price."""
        fields = ("licence", "component", "seller", "organisation", "period", "per_million_minor", "currency")
        stages: list[dict[str, Any]] = [
            {"$match": {"invoice": None, "$or": [{"seller": namespace}, {"organisation": namespace}]}},
            {"$group": {"_id": {name: f"${name}" for name in fields}, "rows": {"$sum": "$rows"}}},
        ]
        found = [document async for document in await self._usage.aggregate(stages)]
        rows = [{**document["_id"], "rows": int(document["rows"])} for document in found]
        return sorted(rows, key=lambda row: [row[name] for name in ("period", *fields)], reverse=True)

    async def put_on_invoice(self, invoice: str, where: dict[str, Any], period: str) -> None:
        """Note on which invoice all records are that are on none, up to a month."""
        query = {**where, "invoice": None, "period": {"$lte": period}}
        await self._usage.update_many(query, {"$set": {"invoice": invoice}})

    async def on_invoice(self, invoice: str) -> list[dict[str, Any]]:
        """Return the rows on an invoice by licence, component and price."""
        key = {"licence": "$licence", "component": "$component", "price": "$per_million_minor"}
        stages: list[dict[str, Any]] = [
            {"$match": {"invoice": invoice}},
            {"$group": {"_id": key, "rows": {"$sum": "$rows"}}},
        ]
        found = [document async for document in await self._usage.aggregate(stages)]
        rows = [{**document["_id"], "rows": int(document["rows"])} for document in found]
        return sorted(rows, key=lambda row: (row["component"], row["licence"], row["price"]))


def licence_id(component: str, organisation: str) -> str:
    """Return the key of a licence: one per component and organisation."""
    return f"{component}|{organisation}"


def _licence(document: dict[str, Any] | None) -> Licence | None:
    return Licence.from_mongo(document) if document else None

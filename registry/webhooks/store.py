"""The collections `webhooks`, `outbox` and `deliveries`.

An event is kept first, then a delivery for each webhook that wants it, under a natural key: a crash between, or two
processes at once, make no second one.
"""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.webhooks.models import MAX_LOG, Attempt, Delivery, DeliveryState, Event, Happened, Webhook

WEBHOOKS, OUTBOX, DELIVERIES = "webhooks", "outbox", "deliveries"
INDEXES = {
    WEBHOOKS: [IndexModel("namespace")],
    OUTBOX: [IndexModel([("shared", 1), ("_id", 1)]), IndexModel([("event", 1), ("_id", -1)]), IndexModel("at")],
    DELIVERIES: [
        IndexModel([("state", 1), ("next_at", 1)]),
        IndexModel([("webhook", 1), ("_id", -1)]),
        IndexModel("created_at"),
    ],
}  # fmt: skip


class WebhookStore:
    """Webhooks by namespace, events and deliveries by state."""

    def __init__(self, database: Database) -> None:
        self._webhooks = database[WEBHOOKS]
        self._outbox = database[OUTBOX]
        self._deliveries = database[DELIVERIES]

    # --- webhooks --------------------------------------------------------------------------------------

    async def insert(self, webhook: Webhook) -> None:
        """Keep a webhook."""
        await self._webhooks.insert_one(webhook.to_mongo())

    async def find(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""
        found = await self._webhooks.find_one({"_id": webhook_id})
        return Webhook.from_mongo(found) if found else None

    async def of(self, namespace: str) -> list[Webhook]:
        """Return the webhooks of a namespace."""
        cursor = self._webhooks.find({"namespace": namespace}, sort=[("_id", 1)])
        return [Webhook.from_mongo(document) async for document in cursor]

    async def delete(self, webhook_id: str, namespace: str) -> bool:
        """Delete a webhook; its deliveries find none and end. False if there is none."""
        done = await self._webhooks.delete_one({"_id": webhook_id, "namespace": namespace})
        return bool(done.deleted_count)

    async def set_active(self, webhook_id: str, active: bool) -> None:
        """Switch a webhook on or off."""
        await self._webhooks.update_one({"_id": webhook_id}, {"$set": {"active": active}})

    async def next_secret(self, webhook_id: str, namespace: str) -> Webhook | None:
        """Count the secret's number up, and return the webhook."""
        found = await self._webhooks.find_one_and_update(
            {"_id": webhook_id, "namespace": namespace},
            {"$inc": {"secret_number": 1}, "$set": {"active": True}},
            return_document=ReturnDocument.AFTER,
        )
        return Webhook.from_mongo(found) if found else None

    # --- events ----------------------------------------------------------------------------------------

    async def keep(self, happened: Happened) -> None:
        """Keep an event, unless it is there."""
        with contextlib.suppress(DuplicateKeyError):
            await self._outbox.insert_one(happened.to_mongo())

    async def unshared(self, limit: int) -> list[Happened]:
        """Return events that deliveries have to be made for, the oldest first."""
        cursor = self._outbox.find({"shared": False}, sort=[("_id", 1)], limit=limit)
        return [Happened.from_mongo(document) async for document in cursor]

    async def set_shared(self, happened_id: str) -> None:
        """Note that all deliveries of an event are made."""
        await self._outbox.update_one({"_id": happened_id}, {"$set": {"shared": True}})

    async def happened(self, happened_id: str) -> Happened | None:
        """Return an event."""
        found = await self._outbox.find_one({"_id": happened_id})
        return Happened.from_mongo(found) if found else None

    async def newest(self, events: Sequence[Event], where: dict[str, Any], limit: int) -> list[Happened]:
        """Return events, the newest first."""
        query = {"event": {"$in": list(events)}, **where}
        cursor = self._outbox.find(query, sort=[("_id", -1)], limit=limit)
        return [Happened.from_mongo(document) async for document in cursor]

    # --- deliveries ------------------------------------------------------------------------------------

    async def add_delivery(self, delivery: Delivery) -> None:
        """Keep a delivery, unless it is there."""
        with contextlib.suppress(DuplicateKeyError):
            await self._deliveries.insert_one(delivery.to_mongo())

    async def claim(self, now: datetime, until: datetime) -> Delivery | None:
        """Take the delivery that has waited longest; until `until` no other process takes it."""
        found = await self._deliveries.find_one_and_update(
            {"state": DeliveryState.PENDING, "next_at": {"$lte": now}},
            {"$set": {"next_at": until}, "$inc": {"tries": 1}},
            sort=[("next_at", 1), ("_id", 1)],
            return_document=ReturnDocument.AFTER,
        )
        return Delivery.from_mongo(found) if found else None

    async def tried(
        self, delivery: Delivery, attempt: Attempt, state: DeliveryState, next_at: datetime
    ) -> bool:
        """Note what came of a try; False if another process has taken the delivery meanwhile."""
        done = await self._deliveries.update_one(
            {"_id": delivery.id, "tries": delivery.tries, "state": DeliveryState.PENDING},
            {
                "$set": {"state": state, "next_at": next_at},
                "$push": {"log": {"$each": [attempt.model_dump()], "$slice": -MAX_LOG}},
            },
        )
        return bool(done.matched_count)

    async def revive(self, delivery_id: str, webhook_id: str, now: datetime) -> Delivery | None:
        """Have an ended delivery sent again; None if there is none that has ended."""
        found = await self._deliveries.find_one_and_update(
            {"_id": delivery_id, "webhook": webhook_id, "state": {"$ne": DeliveryState.PENDING}},
            {"$set": {"state": DeliveryState.PENDING, "next_at": now, "tries": 0}},
            return_document=ReturnDocument.AFTER,
        )
        return Delivery.from_mongo(found) if found else None

    async def deliveries(self, webhook_id: str, after: str, limit: int) -> list[Delivery]:
        """Return the deliveries of a webhook, those of the newest events first."""
        query: dict[str, Any] = {"webhook": webhook_id}
        if after:
            query["_id"] = {"$lt": after}
        cursor = self._deliveries.find(query, sort=[("_id", -1)], limit=limit)
        return [Delivery.from_mongo(document) async for document in cursor]

    async def forget(self, events_before: datetime, deliveries_before: datetime) -> None:
        """Delete what is old and done."""
        await self._outbox.delete_many({"shared": True, "at": {"$lt": events_before}})
        ended = {"$ne": DeliveryState.PENDING}
        await self._deliveries.delete_many({"state": ended, "created_at": {"$lt": deliveries_before}})

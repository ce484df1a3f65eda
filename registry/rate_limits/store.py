"""The collection `rate`: one document per key and window, shared by all workers."""

from datetime import datetime

from pymongo import IndexModel, ReturnDocument

from registry.database import Database

RATE = "rate"
INDEXES = {RATE: [IndexModel("expires_at")]}


class RateStore:
    """Counts of requests."""

    def __init__(self, database: Database) -> None:
        self._rate = database[RATE]

    async def add(self, key: str, window: int, count: int, expires_at: datetime) -> int:
        """Add requests to a window and return how many there are."""
        found = await self._rate.find_one_and_update(
            {"_id": f"{key}|{window}"}, {"$inc": {"count": count}, "$set": {"expires_at": expires_at}},
            upsert=True, return_document=ReturnDocument.AFTER,
        )  # fmt: skip
        if found is None:
            # The embedded server, when two workers make the window at once: it has counted, but does not answer.
            found = await self._rate.find_one({"_id": f"{key}|{window}"})
        return int(found["count"]) if found else count

    async def sweep(self, now: datetime) -> None:
        """Delete windows that are over."""
        await self._rate.delete_many({"expires_at": {"$lte": now}})

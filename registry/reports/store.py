"""The collection `reports`."""

from datetime import datetime
from typing import Any

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.reports.models import Report

REPORTS = "reports"
INDEXES = {
    REPORTS: [
        IndexModel("key", unique=True),
        IndexModel([("is_open", 1), ("due_at", 1), ("_id", 1)]),
        IndexModel([("target", 1), ("is_open", 1)]),
        IndexModel([("user_id", 1), ("created_at", 1)]),
        IndexModel([("told", 1), ("_id", 1)]),
    ]
}


class ReportStore:
    """Reports by urgency."""

    def __init__(self, database: Database) -> None:
        self._reports = database[REPORTS]

    async def insert(self, report: Report) -> bool:
        """Keep a report; False if this account has one about the target that waits."""
        try:
            await self._reports.insert_one(report.to_mongo())
        except DuplicateKeyError:
            return False
        return True

    async def find(self, report_id: str) -> Report | None:
        """Return a report."""
        found = await self._reports.find_one({"_id": report_id})
        return Report.from_mongo(found) if found else None

    async def untold(self, limit: int) -> list[Report]:
        """Return reports whose event is not kept yet, the oldest first."""
        cursor = self._reports.find({"told": False}, sort=[("_id", 1)], limit=limit)
        return [Report.from_mongo(document) async for document in cursor]

    async def set_told(self, report_id: str) -> None:
        """Note that the event of a report is kept."""
        await self._reports.update_one({"_id": report_id}, {"$set": {"told": True}})

    async def since(self, user_id: str, moment: datetime) -> int:
        """Return how many reports an account has sent since a moment."""
        return await self._reports.count_documents({"user_id": user_id, "created_at": {"$gte": moment}})

    async def page(self, *, is_open: bool, after: tuple[datetime, str] | None, limit: int) -> list[Report]:
        """Return reports, the most urgent first."""
        query: dict[str, Any] = {"is_open": is_open}
        if after is not None:
            due_at, report_id = after
            query["$or"] = [{"due_at": {"$gt": due_at}}, {"due_at": due_at, "_id": {"$gt": report_id}}]
        cursor = self._reports.find(query, sort=[("due_at", 1), ("_id", 1)], limit=limit)
        return [Report.from_mongo(document) async for document in cursor]

    async def open_about(self, target: str) -> list[Report]:
        """Return the reports about a target that wait."""
        cursor = self._reports.find({"target": target, "is_open": True})
        return [Report.from_mongo(document) async for document in cursor]

    async def close(self, report: Report, values: dict[str, Any]) -> bool:
        """Resolve a report; False if it is resolved already."""
        done = await self._reports.update_one(
            {"_id": report.id, "is_open": True}, {"$set": {**values, "is_open": False, "key": report.id}}
        )
        return bool(done.matched_count)

    async def queue(self, now: datetime) -> tuple[int, int, datetime | None]:
        """Return how many wait, how many wait too long, and since when the oldest does."""
        oldest = await self._reports.find_one({"is_open": True}, sort=[("created_at", 1)])
        return (
            await self._reports.count_documents({"is_open": True}),
            await self._reports.count_documents({"is_open": True, "due_at": {"$lt": now}}),
            oldest["created_at"] if oldest else None,
        )

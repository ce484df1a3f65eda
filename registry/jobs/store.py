"""The collection `jobs`. Every change is one guarded update: who has lost the lease changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.jobs.models import Job, JobState

JOBS = "jobs"
INDEXES = {
    JOBS: [
        IndexModel([("state", 1), ("run_at", 1)]),
        IndexModel([("state", 1), ("lease_until", 1)]),
        IndexModel("dedupe_key", unique=True),
    ]
}


class JobStore:
    """Jobs by state and time."""

    def __init__(self, database: Database) -> None:
        self._jobs = database[JOBS]

    async def insert(self, job: Job) -> bool:
        """Keep a job; return False if one with its key waits or runs."""
        try:
            await self._jobs.insert_one(job.to_mongo())
        except DuplicateKeyError:
            return False
        return True

    async def find(self, job_id: str) -> Job | None:
        """Return a job."""
        return _job(await self._jobs.find_one({"_id": job_id}))

    async def by_key(self, dedupe_key: str) -> Job | None:
        """Return the job with a key that waits or runs."""
        return _job(await self._jobs.find_one({"dedupe_key": dedupe_key}))

    async def claim(
        self, kinds: Sequence[str], worker: str, now: datetime, lease_until: datetime
    ) -> Job | None:
        """Take the job that has waited longest, or whose holder has vanished."""
        ready: list[dict[str, Any]] = [
            {"state": JobState.QUEUED, "run_at": {"$lte": now}},
            {"state": JobState.RUNNING, "lease_until": {"$lte": now}},
        ]
        taken = {"state": JobState.RUNNING, "worker": worker, "lease_until": lease_until}
        found = await self._jobs.find_one_and_update(
            {"kind": {"$in": list(kinds)}, "tries_left": {"$gt": 0}, "$or": ready},
            {"$set": taken, "$inc": {"attempts": 1, "tries_left": -1}},
            sort=[("run_at", 1), ("_id", 1)], return_document=ReturnDocument.AFTER,
        )  # fmt: skip
        return _job(found)

    async def change(self, job: Job, values: dict[str, Any]) -> bool:
        """Set values of a job whose lease is still held; return whether it is."""
        guard = {
            "_id": job.id, "state": JobState.RUNNING, "worker": job.worker, "attempts": job.attempts,
        }  # fmt: skip
        return bool((await self._jobs.update_one(guard, {"$set": values})).matched_count)

    async def vanished(self, now: datetime, limit: int) -> list[Job]:
        """Return jobs whose holder has vanished and that may not be begun again."""
        query = {"state": JobState.RUNNING, "lease_until": {"$lte": now}, "tries_left": {"$lte": 0}}
        return [Job.from_mongo(document) async for document in self._jobs.find(query, limit=limit)]

    async def remove_ended(self, before: datetime) -> int:
        """Delete done jobs that ended before a time; dead ones stay for people to look at."""
        done = await self._jobs.delete_many({"state": JobState.DONE, "ended_at": {"$lt": before}})
        return done.deleted_count

    async def revive(self, job_id: str, dedupe_key: str, now: datetime, tries: int) -> bool:
        """Queue a dead job again; return False if it is not dead, or its key is in use."""
        change = {
            "state": JobState.QUEUED,
            "dedupe_key": dedupe_key,
            "run_at": now,
            "tries_left": tries,
            "ended_at": None,
        }
        try:
            done = await self._jobs.update_one({"_id": job_id, "state": JobState.DEAD}, {"$set": change})
        except DuplicateKeyError:
            return False
        return bool(done.matched_count)

    async def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state."""
        stages = [{"$group": {"_id": "$state", "count": {"$sum": 1}}}]
        cursor = await self._jobs.aggregate(stages)
        found = {document["_id"]: document["count"] async for document in cursor}
        return {state.value: found.get(state.value, 0) for state in JobState}


def _job(document: dict[str, Any] | None) -> Job | None:
    return Job.from_mongo(document) if document else None

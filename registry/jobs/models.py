"""Work for later."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from registry.documents import Document


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"


class Job(Document):
    """One piece of work.

    Attributes:
        kind: What is to be done.
        payload: With what.
        dedupe_key: No two jobs that wait or run have the same; an ended one has its id here.
        run_at: Not before.
        lease_until: While it runs: from here on others may take it.
        worker: While it runs: who has it.
        attempts: How often it was begun; also tells an old holder of the lease from the present one.
        tries_left: How often it may still be begun.
        error: Why it failed last.
    """

    kind: str
    payload: dict[str, Any]
    state: JobState = JobState.QUEUED
    dedupe_key: str
    run_at: datetime
    lease_until: datetime | None = None
    worker: str = ""
    attempts: int = 0
    tries_left: int
    error: str = ""
    created_at: datetime
    ended_at: datetime | None = None

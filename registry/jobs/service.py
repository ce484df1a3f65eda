"""Work for later, with leases: a worker that dies loses its job to another one."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from dteg.core.errors import DtegError, UnavailableError
from dteg.core.secrets import redact
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.jobs.models import Job, JobState
from registry.jobs.store import INDEXES, JobStore
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

_LOG = logging.getLogger(__name__)
TRIES = 5
KEEP_DONE = timedelta(days=7)
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 3600.0
_SWEEP_EVERY_S = 30.0
_SWEEP_AT_ONCE = 100
_MAX_ERROR = 2_000


class Jobs(Service):
    """A queue that every worker of every process draws from."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = JobStore(self.database)
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look after jobs whose holder has vanished."""
        self._sweeping = asyncio.create_task(self._sweep_for_ever())

    async def stop(self) -> None:
        """Stop looking."""
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def enqueue(
        self,
        kind: str,
        payload: dict[str, Any],
        *,
        dedupe_key: str,
        run_at: datetime | None = None,
        tries: int = TRIES,
    ) -> Job:
        """Add a job, unless one with this key waits or runs: then return that one.

        Args:
            kind: What is to be done.
            payload: With what; small, ids rather than contents.
            dedupe_key: What makes two jobs the same.
            run_at: Not before; default: now.
            tries: How often it may be begun.

        Raises:
            UnavailableError: Jobs with this key come and go too quickly.
        """
        now = milliseconds(self.clock())
        job = Job(
            id=new_id(), kind=kind, payload=payload, dedupe_key=f"{kind}|{dedupe_key}", created_at=now,
            run_at=milliseconds(run_at) if run_at else now, tries_left=tries,
        )  # fmt: skip
        for _ in range(10):
            if await self._store.insert(job):
                return job
            if present := await self._store.by_key(job.dedupe_key):
                return present
        raise UnavailableError("the queue is busy: try again")

    async def get(self, job_id: str) -> Job | None:
        """Return a job."""
        return await self._store.find(job_id)

    async def claim(self, kinds: Sequence[str], worker: str, lease_s: float) -> Job | None:
        """Take the next job, or None when there is none.

        Args:
            kinds: What the worker can do.
            worker: Its name, unique among all processes.
            lease_s: After this time others may take the job, unless `renew` is called.
        """
        now = milliseconds(self.clock())
        return await self._store.claim(kinds, worker, now, now + timedelta(seconds=lease_s))

    async def renew(self, job: Job, lease_s: float) -> bool:
        """Keep a job for longer; False when it is lost, and work on it must stop."""
        until = milliseconds(self.clock()) + timedelta(seconds=lease_s)
        return await self._store.change(job, {"lease_until": until})

    async def finish(self, job: Job) -> bool:
        """Say that a job is done; False when it was lost to another worker."""
        return await self._end(job, JobState.DONE, "")

    async def fail(
        self, job: Job, error: str, *, retry_in_s: float | None = None, final: bool = False
    ) -> bool:
        """Say that a job failed: it is tried again, later each time, and is dead after the last try.

        Args:
            job: As claimed.
            error: Why; secrets are masked.
            retry_in_s: Seconds until the next try; default: doubling from 5 s to an hour.
            final: Trying again cannot help.

        Returns:
            False when the job was lost to another worker.
        """
        error = redact(error)[:_MAX_ERROR]
        if final or job.tries_left <= 0:
            return await self._end(job, JobState.DEAD, error)
        wait = _backoff_s(job.attempts) if retry_in_s is None else retry_in_s
        run_at = milliseconds(self.clock() + timedelta(seconds=wait))
        again = {
            "state": JobState.QUEUED,
            "run_at": run_at,
            "lease_until": None,
            "worker": "",
            "error": error,
        }
        return await self._store.change(job, again)

    async def revive(self, job_id: str) -> bool:
        """Queue a dead job again; False if it is not dead, or the same work waits already."""
        job = await self._store.find(job_id)
        key = f"{job.kind}|again|{job_id}" if job else ""
        return await self._store.revive(job_id, key, milliseconds(self.clock()), TRIES)

    async def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state."""
        return await self._store.counts()

    async def sweep(self) -> int:
        """Bury jobs whose holder vanished in their last try, and forget old done ones; return how many were buried."""
        now = milliseconds(self.clock())
        buried = 0
        for job in await self._store.vanished(now, _SWEEP_AT_ONCE):
            buried += await self._end(job, JobState.DEAD, f"the worker {job.worker} vanished in the last try")
        await self._store.remove_ended(now - KEEP_DONE)
        return buried

    async def run_one(
        self, kinds: Sequence[str], worker: str, lease_s: float, handler: Callable[[Job], Awaitable[None]]
    ) -> bool:
        """Take a job, run it while the lease is renewed, and finish or fail it; return whether there was one.

        A handler whose lease is lost is cancelled. What it raises fails the job.
        """
        job = await self.claim(kinds, worker, lease_s)
        if job is None:
            return False
        work = asyncio.ensure_future(handler(job))
        keeping = asyncio.create_task(self._keep(job, lease_s, work))
        try:
            await work
        except asyncio.CancelledError:
            if not work.done() or keeping.cancelled() or not keeping.done():
                work.cancel()
                raise  # we are stopped; the lease runs out by itself
            _LOG.warning("job %s was lost to another worker", job.id)
        except DtegError as error:
            await self.fail(job, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it was, the job failed and the worker lives on
            _LOG.exception("job %s (%s) failed", job.id, job.kind)
            await self.fail(job, f"{type(error).__name__}: {error}")
        else:
            await self.finish(job)
        finally:
            keeping.cancel()
        return True

    async def _keep(self, job: Job, lease_s: float, work: "asyncio.Future[None]") -> None:
        while True:
            await asyncio.sleep(lease_s / 3)
            with contextlib.suppress(PyMongoError):  # the lease may last until the database is back
                if not await self.renew(job, lease_s):
                    work.cancel()
                    return

    async def _end(self, job: Job, state: JobState, error: str) -> bool:
        # The key becomes free: the same work may be asked for again.
        values = {
            "state": state, "ended_at": milliseconds(self.clock()), "lease_until": None, "error": error,
            "dedupe_key": job.id,
        }  # fmt: skip
        return await self._store.change(job, values)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            with contextlib.suppress(PyMongoError):
                await self.sweep()


def _backoff_s(attempts: int) -> float:
    """Return the wait before the next try, spread so that failures of one cause do not all come back at once."""
    wait = min(_FIRST_WAIT_S * 2.0 ** min(attempts - 1, 20), _LONGEST_WAIT_S)
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 - no secret

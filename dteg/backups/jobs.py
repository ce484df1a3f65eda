"""Work that takes a while, as rows that other processes can look at while it goes on."""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from psycopg.types.json import Jsonb
from pydantic import BaseModel

from dteg.backups.models import Job, JobKind, JobState
from dteg.backups.progress import Progress, Report
from dteg.core.clock import utc_now
from dteg.core.control import session
from dteg.core.errors import DtegError, NotFoundError
from dteg.core.problem_codes import CODES
from dteg.core.project import Project
from dteg.core.secrets import redact

M = TypeVar("M", bound=BaseModel)
_SAVE = """
INSERT INTO _dteg.backup_jobs (id, started_at, updated_at, job) VALUES (%(id)s, %(started_at)s, %(updated_at)s, %(job)s)
ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, job = excluded.job
"""
_PRUNE = "DELETE FROM _dteg.backup_jobs WHERE started_at < now() - interval '30 days'"
_SAVE_EVERY_S = 1.0
_BEAT_S = 10.0
# A job whose process died says nothing more.
_LOST = timedelta(seconds=60)


class Jobs:
    """The jobs of one project.

    Args:
        project: Whose warehouse keeps them.
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    def start(self, kind: JobKind, subject: str, work: Callable[[Report], BaseModel]) -> Job:
        """Begin some work in a thread, and return its job at once."""
        job = self._new(kind, subject)
        threading.Thread(target=self._run, args=(job, work), name=f"backup job {job.id}", daemon=True).start()
        return job

    def run(self, kind: JobKind, subject: str, work: Callable[[Report], M], report: Report) -> M:
        """Do some work here and now, seen by others as a job."""
        return _Running(self, self._new(kind, subject), report).run(work)

    def get(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            NotFoundError: There is none.
        """
        with session(self._project, "backups") as connection:
            row = connection.execute("SELECT job FROM _dteg.backup_jobs WHERE id = %s", [job_id]).fetchone()
        if row is None:
            raise NotFoundError(f"there is no job {job_id}")
        return _seen(row)

    def recent(self, limit: int = 20) -> list[Job]:
        """Return the newest jobs."""
        with session(self._project, "backups") as connection:
            query = "SELECT job FROM _dteg.backup_jobs ORDER BY started_at DESC, id LIMIT %s"
            return [_seen(row) for row in connection.execute(query, [limit]).fetchall()]

    def save(self, job: Job) -> None:
        """Write down how far a job is."""
        with session(self._project, "backups") as connection:
            connection.execute(_SAVE, {**job.model_dump(), "job": Jsonb(job.model_dump(mode="json"))})

    def _new(self, kind: JobKind, subject: str) -> Job:
        now = utc_now()
        job = Job(
            id=secrets.token_hex(8),
            kind=kind,
            subject=subject,
            state=JobState.RUNNING,
            started_at=now,
            updated_at=now,
        )
        with session(self._project, "backups") as connection:
            connection.execute(_PRUNE)
        self.save(job)
        return job

    def _run(self, job: Job, work: Callable[[Report], BaseModel]) -> None:
        with contextlib.suppress(Exception):  # it is in the job
            _Running(self, job, lambda progress: None).run(work)


class _Running:
    """One job while it runs: keeps its row fresh."""

    def __init__(self, jobs: Jobs, job: Job, report: Report) -> None:
        self._jobs, self._job, self._report = jobs, job, report
        self._saved = time.monotonic()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def run(self, work: Callable[[Report], M]) -> M:
        beat = threading.Thread(target=self._beat, name="backup job beat", daemon=True)
        beat.start()
        try:
            result = work(self._progress)
        except BaseException as error:
            self._end(beat, state=JobState.FAILED, code=_code(error), error=_text(error))
            raise
        self._end(beat, state=JobState.DONE, result=result.model_dump(mode="json"))
        return result

    def _progress(self, progress: Progress) -> None:
        self._report(progress)
        fresh: dict[str, Any] = {
            "phase": progress.phase, "done_bytes": progress.done_bytes, "total_bytes": progress.total_bytes
        }  # fmt: skip
        self._job = self._job.model_copy(update=fresh)
        if time.monotonic() - self._saved > _SAVE_EVERY_S:
            self._save()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_S):
            self._save()

    def _end(self, beat: threading.Thread, **last: Any) -> None:
        self._ended.set()
        beat.join()
        self._job = self._job.model_copy(update={"phase": "", **last})
        self._save()

    def _save(self) -> None:
        # A warehouse that does not answer, or is being swapped, is no reason to lose the work.
        with self._lock, contextlib.suppress(DtegError):
            self._saved = time.monotonic()
            self._jobs.save(self._job.model_copy(update={"updated_at": utc_now()}))


def _seen(row: tuple[Any, ...]) -> Job:
    job = Job.model_validate(row[0])
    if job.state is JobState.RUNNING and utc_now() - job.updated_at > _LOST:
        return job.model_copy(
            update={
                "state": JobState.FAILED,
                "code": "lost",
                "error": "its process ended before its work did",
            }
        )
    return job


def _code(error: BaseException) -> str:
    return next((CODES[kind][1] for kind in type(error).__mro__ if kind in CODES), "unexpected")


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, DtegError) else redact(f"{type(error).__name__}: {error}")

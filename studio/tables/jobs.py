"""Loads that take longer than a request: each in a thread of its own, two at a time, told of by polling."""

import logging
import threading
import uuid
import weakref
from collections import OrderedDict

from dteg.core.clock import utc_now
from dteg.core.errors import DtegError, NotFoundError
from dteg.core.problem_codes import CODES
from dteg.pipelines.listener import Listener
from dteg.tables.models import CreateRequest, Job
from dteg.tables.uploads import Uploads
from studio.services import Services

AT_ONCE = 2
KEPT = 200
_LOG = logging.getLogger(__name__)


class Jobs:
    """The loads of one studio. A load that the end of the process cuts off leaves nothing in the database.

    Args:
        services: Of the studio.
    """

    def __init__(self, services: Services) -> None:
        # Not kept alive by us: these jobs are found by them.
        self._services = weakref.ref(services)
        self._uploads = Uploads.of(services.project)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(AT_ONCE)

    def start(self, request: CreateRequest, upload_id: str) -> Job:
        """Begin to load an upload.

        Raises:
            NotFoundError: There is no such upload.
        """
        source = self._uploads.source(upload_id)
        job = Job(
            id=uuid.uuid4().hex, table=request.table, file=source.path, state="waiting", started_at=utc_now(),
            of_bytes=(source.folder / source.path).stat().st_size,
        )  # fmt: skip
        with self._lock:
            self._jobs[job.id] = job
            while len(self._jobs) > KEPT:
                self._jobs.popitem(last=False)
        # A daemon, so that a load does not keep the studio from ending.
        threading.Thread(
            target=self._run, args=(job.id, request, upload_id), name="load", daemon=True
        ).start()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job as it stands.

        Raises:
            NotFoundError: There is none, or it was long ago.
        """
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFoundError("there is no such job; the studio may have been started anew since")
        return job

    def _run(self, job_id: str, request: CreateRequest, upload_id: str) -> None:
        services = self._services()
        if services is None:
            return
        with self._turn:
            self._note(job_id, state="running")
            try:
                source = self._uploads.source(upload_id)
                created = services.tables.create(request, source, _Progress(self, job_id))
            except DtegError as error:
                code = next(CODES[kind][1] for kind in type(error).__mro__ if kind in CODES)
                self._note(job_id, state="failed", code=code, error=str(error))
            except Exception:  # noqa: BLE001 - a thread has nobody else to tell
                _LOG.exception("the load into %s failed", request.table)
                self._note(
                    job_id, state="failed", code="refused", error="an unexpected error; the log says more"
                )
            else:
                self._note(job_id, state="done", created=created)
                self._uploads.delete(upload_id)

    def _note(self, job_id: str, **changes: object) -> None:
        with self._lock:
            if job_id in self._jobs:
                self._jobs[job_id] = self._jobs[job_id].model_copy(update=changes)

    def add(self, job_id: str, rows: int, num_bytes: int) -> None:
        """Note that more was loaded."""
        with self._lock:
            if job := self._jobs.get(job_id):
                update = {"rows": job.rows + rows, "bytes": job.bytes + num_bytes}
                self._jobs[job_id] = job.model_copy(update=update)


class _Progress(Listener):
    def __init__(self, jobs: Jobs, job_id: str) -> None:
        self._jobs, self._job_id = jobs, job_id

    def batch_loaded(self, stream: str, rows: int, num_bytes: int) -> None:
        self._jobs.add(self._job_id, rows, num_bytes)

    def bytes_relayed(self, stream: str, num_bytes: int) -> None:
        self._jobs.add(self._job_id, 0, num_bytes)


_jobs: "weakref.WeakKeyDictionary[Services, Jobs]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def jobs_of(services: Services) -> Jobs:
    """Return the jobs of a studio."""
    with _lock:
        if services not in _jobs:
            _jobs[services] = Jobs(services)
        return _jobs[services]

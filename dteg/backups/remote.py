"""Backups of a studio, over HTTP."""

import time
from typing import Any, TypeVar

from pydantic import BaseModel

from dteg.backups.models import (
    Backup,
    Job,
    JobState,
    Keep,
    Manifest,
    NewBackup,
    Pruned,
    Restored,
    RestoreOrder,
    Verified,
)
from dteg.backups.progress import Progress, Report, silent
from dteg.core.problem_codes import error_for_code
from dteg.studio_client import StudioClient, quoted

M = TypeVar("M", bound=BaseModel)
_PATH = "/backups"
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0


class RemoteBackups:
    """The same as `Backups.of` of the studio's project.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def create(self, order: NewBackup, report: Report = silent) -> Backup:
        """Back a database up."""
        return self._done(self.start_create(order), Backup, report)

    def restore(self, order: RestoreOrder, report: Report = silent) -> Restored:
        """Make a database from a backup."""
        return self._done(self.start_restore(order), Restored, report)

    def verify(
        self, backup_id: str, *, restore: bool = False, source: str = "", key: str = "", server: str = "",
        report: Report = silent,
    ) -> Verified:  # fmt: skip
        """Compare a backup with its manifest; on wish restore it, too."""
        body = {"restore": restore, "source": source, "key": key, "server": server}
        job = Job.model_validate(self._client.post(f"{_one(backup_id)}/verify", body))
        return self._done(job, Verified, report)

    def start_create(self, order: NewBackup) -> Job:
        """Begin a backup."""
        return Job.model_validate(self._client.post(_PATH, order.model_dump(mode="json")))

    def start_restore(self, order: RestoreOrder) -> Job:
        """Begin a restore."""
        body = order.model_dump(mode="json", exclude={"id"})
        return Job.model_validate(self._client.post(f"{_one(order.id)}/restore", body))

    def start_verify(self, backup_id: str, *, restore: bool = False) -> Job:
        """Begin a verification."""
        return Job.model_validate(self._client.post(f"{_one(backup_id)}/verify", {"restore": restore}))

    def job(self, job_id: str) -> Job:
        """Return one job."""
        return Job.model_validate(self._client.get(f"{_PATH}/jobs/{quoted(job_id)}"))

    def jobs(self, limit: int = 20) -> list[Job]:
        """Return the newest jobs."""
        return [Job.model_validate(each) for each in self._client.get(f"{_PATH}/jobs", limit=limit)["items"]]

    def all(self, database: str = "", *, after: str = "", limit: int | None = None) -> list[Backup]:
        """Return the backups of the catalogue, the newest first."""
        if limit is not None:
            found = self._client.get(_PATH, database=database, after=after, limit=limit)["items"]
        else:
            found = list(self._client.items(_PATH, database=database))
        return [Backup.model_validate(each) for each in found]

    def get(self, backup_id: str) -> Backup:
        """Return one backup of the catalogue."""
        return Backup.model_validate(self._client.get(_one(backup_id)))

    def manifest(self, backup_id: str) -> Manifest:
        """Return what a backup says of itself."""
        return Manifest.model_validate(self._client.get(f"{_one(backup_id)}/manifest"))

    def rebuild(self, uri: str) -> list[Backup]:
        """Read the manifests at a target into the catalogue."""
        found = self._client.post(f"{_PATH}/rebuild", {"target": uri})
        return [Backup.model_validate(each) for each in found["items"]]

    def prune(self, keep: Keep | None = None, *, database: str = "", dry_run: bool = False) -> Pruned:
        """Delete backups that need not be kept."""
        body: dict[str, Any] = {
            "keep": (keep or Keep()).model_dump(),
            "database": database,
            "dry_run": dry_run,
        }
        return Pruned.model_validate(self._client.post(f"{_PATH}/prune", body))

    def public_key(self) -> str:
        """Return the key that others need to trust these backups."""
        return str(self._client.get(f"{_PATH}/key")["public_key"])

    def _done(self, job: Job, kind: type[M], report: Report) -> M:
        """Wait for a job; a failed one raises what the library would raise."""
        wait_s = _FIRST_WAIT_S
        while job.state is JobState.RUNNING:
            report(Progress(job.phase, job.done_bytes, job.total_bytes))
            time.sleep(wait_s)
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)
            job = self.job(job.id)
        if job.state is JobState.FAILED:
            raise error_for_code(job.code, job.error, [], 5.0)
        return kind.model_validate(job.result)


def _one(backup_id: str) -> str:
    return f"{_PATH}/{quoted(backup_id)}"

"""Cron jobs through a studio."""

from collections.abc import Sequence

from dteg.cron.models import CronJob, CronPreview, CronRun, NewCronJob
from dteg.studio_client import StudioClient, quoted


class RemoteCronJobs:
    """The cron jobs of the project of a studio.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def add(self, new: NewCronJob) -> CronJob:
        """Add a job, or change it."""
        return CronJob.model_validate(self._client.post("/cron/jobs", new.model_dump(mode="json")))

    def jobs(self) -> list[CronJob]:
        """Return all jobs by name."""
        return [CronJob.model_validate(each) for each in self._client.items("/cron/jobs")]

    def get(self, job: str) -> CronJob:
        """Return one job."""
        return CronJob.model_validate(self._client.get(f"/cron/jobs/{quoted(job)}"))

    def start(self, jobs: Sequence[str] | None = None) -> list[CronJob]:
        """Start jobs; all if none are named."""
        return self._switch("start", jobs)

    def stop(self, jobs: Sequence[str] | None = None) -> list[CronJob]:
        """Stop jobs; all if none are named."""
        return self._switch("stop", jobs)

    def remove(self, job: str) -> None:
        """Stop a job and delete its file."""
        self._client.delete(f"/cron/jobs/{quoted(job)}")

    def history(self, job: str | None = None, limit: int = 20) -> list[CronRun]:
        """Return the last runs, newest first."""
        found = self._client.get("/cron/history", job=job, limit=limit)
        return [CronRun.model_validate(each) for each in found["items"]]

    def preview(self, schedule: str, timezone: str = "UTC", count: int = 5) -> CronPreview:
        """Say a schedule in words, and when it would run next."""
        found = self._client.get("/cron/preview", schedule=schedule, timezone=timezone, count=count)
        return CronPreview.model_validate(found)

    def _switch(self, word: str, jobs: Sequence[str] | None) -> list[CronJob]:
        body = {"jobs": None if jobs is None else list(jobs)}
        return [CronJob.model_validate(each) for each in self._client.post(f"/cron/{word}", body)["items"]]

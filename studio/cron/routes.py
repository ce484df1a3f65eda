"""Cron jobs over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dteg.cron.models import CronJob, CronPreview, CronRun, NewCronJob
from studio.access import Scope, allow
from studio.answers import After, Limit, Page, page_of, with_etag
from studio.services import services_of

router = APIRouter(prefix="/cron", tags=["cron"])
# Dagster loads its code again before it answers.
LONG = (r"/api/v1/cron/.*",)
JobId = Annotated[
    str, Path(max_length=200, pattern=r"^[^\x00-\x1f/]+$", description="Id of the job: its name.")
]


class Chosen(BaseModel):
    """Which jobs are meant."""

    jobs: Annotated[list[str] | None, Field(max_length=1000)] = Field(
        None, description="Ids; all that are valid if null."
    )


@router.get("/jobs", dependencies=[allow(Scope.READ)])
def list_jobs(request: Request, limit: Limit = 100, after: After = "") -> Page[CronJob]:
    """List the jobs with their next and last runs."""
    return page_of(services_of(request).cron.jobs(), limit, after, key=lambda job: job.id)


@router.post("/jobs", status_code=201, dependencies=[allow(Scope.WRITE)])
def add_job(request: Request, new: NewCronJob) -> CronJob:
    """Add a job, or change one with `replace`; on any error everything is as before."""
    return services_of(request).cron.add(new)


@router.get("/jobs/{job}", response_model=CronJob, dependencies=[allow(Scope.READ)])
def read_job(request: Request, job: JobId) -> Response:
    """Return one job."""
    return with_etag(request, services_of(request).cron.get(job))


@router.delete("/jobs/{job}", status_code=204, dependencies=[allow(Scope.WRITE)])
def remove_job(request: Request, job: JobId) -> None:
    """Stop a job and delete its file."""
    services_of(request).cron.remove(job)


@router.post("/start", dependencies=[allow(Scope.WRITE)])
def start_jobs(request: Request, chosen: Chosen) -> Page[CronJob]:
    """Start jobs."""
    return Page(items=services_of(request).cron.start(chosen.jobs))


@router.post("/stop", dependencies=[allow(Scope.WRITE)])
def stop_jobs(request: Request, chosen: Chosen) -> Page[CronJob]:
    """Stop jobs; what runs now runs to its end."""
    return Page(items=services_of(request).cron.stop(chosen.jobs))


@router.get("/history", dependencies=[allow(Scope.READ)])
def read_history(
    request: Request,
    job: Annotated[str, Query(max_length=200, description="Id of a job; all without.")] = "",
    limit: Limit = 20,
) -> Page[CronRun]:
    """Return the last runs, newest first."""
    return Page(items=services_of(request).cron.history(job or None, limit))


@router.get("/preview", dependencies=[allow(Scope.READ)])
def preview(
    request: Request,
    schedule: Annotated[str, Query(max_length=200, description="Cron expression.")],
    timezone: Annotated[str, Query(max_length=100, description="Time zone.")] = "UTC",
    count: Annotated[int, Query(ge=1, le=50, description="How many times.")] = 5,
) -> CronPreview:
    """Say a schedule in words, and when it would run next."""
    return services_of(request).cron.preview(schedule, timezone, count)

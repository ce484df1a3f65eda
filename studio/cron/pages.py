"""Cron jobs in the browser."""

from collections.abc import Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from dteg.core.control import session
from dteg.core.errors import DtegError
from dteg.core.schedules import describe
from dteg.cron.actions import FORMS, action_text, parse_action
from dteg.cron.models import CronJob, JobState, NewCronJob, RunState
from dteg.pipelines.plan import pipeline_files
from dteg.webapp.forms import read, refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Scope, allow
from studio.cron.routes import JobId
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of

NAVIGATION = ("Cron jobs", "/cron")
DONE = {
    "job-added": "The job was added.",
    "job-started": "The job was started.",
    "job-stopped": "The job was stopped. What runs now runs to its end.",
    "job-removed": "The job was removed.",
}
LONG = (r"/cron(/.*)?",)
router = APIRouter(prefix="/cron")
SHOWN_RUNS = 50
_READ, _WRITE = [allow(Scope.READ)], [allow(Scope.WRITE)]
_TONES = {
    RunState.SUCCEEDED: "good",
    RunState.FAILED: "bad",
    RunState.NOT_STARTED: "bad",
    RunState.CANCELED: "warn",
    JobState.RUNNING: "good",
    JobState.BROKEN: "bad",
}


@router.get("", dependencies=_READ)
def jobs(request: Request) -> Response:
    """The list."""
    found = services_of(request).cron.jobs()
    return show(request, "cron_list.html", jobs=found, words=_words(found), tones=_TONES)


@router.get("/new", dependencies=_WRITE)
def new(request: Request) -> Response:
    """The form of a new job."""
    return _form(request, FormState())


@router.get("/preview", dependencies=_READ)
def preview(
    request: Request,
    schedule: Annotated[str, Query(max_length=200)] = "",
    timezone: Annotated[str, Query(max_length=100)] = "UTC",
) -> Response:
    """What a schedule means, while it is written."""
    return show(request, "cron_preview.html", **_preview(request, schedule, timezone))


@router.post("", dependencies=_WRITE)
def add(request: Request, form: Posted) -> Response:
    """Add a job, or only show when it would run."""
    if form.get("do") == "preview":
        return _form(request, state(form))
    try:
        action = action_text(parse_action(_action_words(form)))
    except DtegError as error:
        return _form(request, state(form, {"subject": refusal(error)}), 422)
    values = {name: form[name] for name in ("name", "schedule", "timezone", "description") if form.get(name)}
    wanted, errors = read(NewCronJob, {**values, "action": action, "enabled": form.get("stopped") != "yes"})
    if wanted is None:
        return _form(request, state(form, errors), 422)
    try:
        job = services_of(request).cron.add(wanted)
    except DtegError as error:
        return _form(request, state(form, problem=refusal(error)), 422)
    return go(f"/cron/jobs/{job.id}", "job-added")


@router.get("/jobs/{job}", dependencies=_READ)
def job_page(request: Request, job: JobId) -> Response:
    """One job and its history."""
    cron = services_of(request).cron
    found = cron.get(job)
    times = []
    if found.state is not JobState.BROKEN:
        zone = ZoneInfo(found.timezone)
        times = [at.astimezone(zone) for at in cron.preview(found.schedule, found.timezone).next_at]
    return show(
        request, "cron_job.html", job=found, words=_words([found]), times=times, tones=_TONES,
        runs=cron.history(job, SHOWN_RUNS),
    )  # fmt: skip


@router.post("/jobs/{job}/{word}", dependencies=_WRITE)
def switch(
    request: Request,
    job: JobId,
    word: Annotated[str, Path(pattern="^(start|stop|remove)$")],
    form: Posted,
) -> Response:
    """Start, stop or remove a job."""
    cron = services_of(request).cron
    if word == "remove":
        cron.remove(job)
        return go("/cron", "job-removed")
    (cron.start if word == "start" else cron.stop)([job])
    back = "/cron" if form.get("from") == "list" else f"/cron/jobs/{job}"
    return go(back, "job-started" if word == "start" else "job-stopped")


@router.get("/jobs/{job}/remove", dependencies=_WRITE)
def ask(request: Request, job: JobId) -> Response:
    """Ask before a job is removed."""
    return show(request, "cron_remove.html", job=services_of(request).cron.get(job))


def summary(services: Services) -> Summary:
    """What the home page says of cron jobs: what their files say, for Dagster may take seconds to answer."""
    found = services.cron.outline()
    on = [job for job in found if job.state is JobState.RUNNING]
    broken = [job for job in found if job.state is JobState.BROKEN]
    coming = sorted((job for job in on if job.next_at), key=lambda job: str(job.next_at))
    lines = [
        Line(f"{job.id}: {job.problem.splitlines()[0]}", f"/cron/jobs/{job.id}", "broken", "bad")
        for job in broken[:2]
    ]
    lines += [Line(job.id, f"/cron/jobs/{job.id}", f"{job.next_at:%b %d %H:%M} UTC") for job in coming[:3]]
    figures = (("jobs", str(len(found))), ("on", str(len(on)))) if found else ()
    return Summary(
        "Cron jobs",
        "/cron",
        figures,
        tuple(lines),
        "Back up a database every night: add a job.",
        "bad" if broken else "",
    )


def _form(request: Request, form: FormState, status: int = 200) -> Response:
    schedule, timezone = form.value("schedule", "0 2 * * *"), form.value("timezone", "UTC")
    services = services_of(request)
    return show(
        request, "cron_new.html", status=status, form=form, forms=FORMS,
        pipelines=[path.stem for path in pipeline_files(services.project)], databases=_databases(services),
        **_preview(request, schedule, timezone),
    )  # fmt: skip


def _action_words(form: Mapping[str, str]) -> list[str]:
    """Return the action that the fields of the form describe."""
    kind = form.get("kind", "")
    words = kind.split()
    for each in FORMS:
        if " ".join(each.words) == kind:
            words += [form.get("subject", "")] if each.argument else []
            for option, value in each.options.items():
                given = form.get(option.removeprefix("--").replace("-", "_"), "")
                words += [option, *([given] if value else [])] if given else []
    return words


def _preview(request: Request, schedule: str, timezone: str) -> dict[str, Any]:
    if not schedule:
        return {"preview": None, "times": [], "problem": ""}
    try:
        found = services_of(request).cron.preview(schedule, timezone or "UTC")
    except DtegError as error:
        return {"preview": None, "times": [], "problem": refusal(error)}
    zone = ZoneInfo(found.timezone)
    return {"preview": found, "times": [at.astimezone(zone) for at in found.next_at], "problem": ""}


def _databases(services: Services) -> list[str]:
    """Return the databases of the warehouse's server, to choose from."""
    query = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn ORDER BY datname"
    try:
        with session(services.project) as connection:
            return [str(row[0]) for row in connection.execute(query)]
    except DtegError:
        return []


def _words(found: list[CronJob]) -> dict[str, str]:
    return {job.id: describe(job.schedule) for job in found if job.state is not JobState.BROKEN}

"""Backups in the browser: listed, made, proved, restored and pruned."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from dteg.backups.models import Job, JobKind, JobState, Keep, NewBackup, RestoreOrder
from dteg.core.clock import utc_now
from dteg.core.control import session
from dteg.core.errors import DtegError
from dteg.webapp.forms import read, refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Principal, Scope, allow
from studio.backups.routes import BackupName, require_admin
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of

NAVIGATION = ("Backups", "/backups")
DONE = {"backups-pruned": "The old backups are deleted."}
TONES = {JobState.DONE: "good", JobState.FAILED: "bad", JobState.RUNNING: "warn"}
router = APIRouter(prefix="/backups")

_READ = [allow(Scope.READ)]
_WRITE = [allow(Scope.WRITE)]
_ADMIN = [allow(Scope.ADMIN)]
_SHOWN = 200
_SHOWN_JOBS = 8
_LINES = 4
_OLD_DAYS = 7
_KEEP = "daily=7,weekly=5,monthly=12,yearly=5"
JobName = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
_DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn ORDER BY datname"


def summary(services: Services) -> Summary:
    """Say on the home page how old the newest backup of each database is, and whether one was proved."""
    found = services.backups.all(limit=_SHOWN)
    newest = {backup.database: backup for backup in reversed(found)}
    proved = {backup.database for backup in found if backup.restore_verified_at}
    lines, tone = [], ""
    for database, backup in sorted(newest.items(), key=lambda item: item[1].started_at):
        days = (utc_now() - backup.started_at).days
        bad = "bad" if days >= _OLD_DAYS else "" if database in proved else "warn"
        tone = "bad" if bad == "bad" else tone
        note = f"{days} days old" if days else "today"
        lines.append(
            Line(
                database,
                f"/backups/{backup.id}",
                note if database in proved else f"{note}, never restored",
                bad,
            )
        )
    figures = (("Backups", f"{len(found):,}"), ("Databases", f"{len(newest):,}")) if found else ()
    empty = "Back a database up, then prove it by restoring it."
    return Summary("Backups", "/backups", figures, tuple(lines[:_LINES]), empty, tone)


@router.get("", dependencies=_READ)
def backups(request: Request) -> Response:
    """The list, what goes on, and the form of a new one."""
    return _list(request, FormState())


@router.post("")
def create(request: Request, form: Posted, who: Annotated[Principal, allow(Scope.WRITE)]) -> Response:
    """Begin a backup."""
    values = {
        "database": form.get("database", ""),
        "to": form.get("to", ""),
        "encrypt": bool(form.get("encrypt")),
    }
    order, errors = read(NewBackup, values)
    if order is None:
        return _list(request, state(form, errors))
    try:
        require_admin(who, order)
        job = services_of(request).backups.start_create(order)
    except DtegError as error:
        return _list(request, state(form, problem=refusal(error)))
    return go(f"/backups/jobs/{job.id}")


@router.get("/jobs/{job}", dependencies=_READ)
def job_page(request: Request, job: JobName) -> Response:
    """How far a job is; the page asks again by itself, with and without scripts."""
    found = services_of(request).backups.job(job)
    return show(request, "backups_job.html", job=found, tones=TONES, result_href=_result(found))


@router.get("/jobs/{job}/progress", dependencies=_READ)
def job_progress(request: Request, job: JobName) -> Response:
    """The part of that page that changes."""
    found = services_of(request).backups.job(job)
    return show(request, "backups_progress.html", job=found, tones=TONES, result_href=_result(found))


@router.get("/prune", dependencies=_ADMIN)
def ask_prune(request: Request, keep: str = _KEEP) -> Response:
    """Show what would go, and ask."""
    form = FormState(given={"keep": keep})
    try:
        pruned = services_of(request).backups.prune(Keep.parse(keep), dry_run=True)
    except DtegError as error:
        form = FormState(given={"keep": keep}, problem=refusal(error))
        return show(request, "backups_prune.html", form=form, pruned=None, keep=keep, status=422)
    return show(request, "backups_prune.html", form=form, pruned=pruned, keep=keep)


@router.post("/prune", dependencies=_ADMIN)
def prune(request: Request, form: Posted) -> Response:
    """Delete what was shown."""
    services_of(request).backups.prune(Keep.parse(form.get("keep", _KEEP)))
    return go("/backups", "backups-pruned")


@router.get("/{backup}", dependencies=_READ)
def backup_page(request: Request, backup: BackupName) -> Response:
    """One backup: what it says of itself, and what can be done with it."""
    return _one(request, backup, FormState())


@router.post("/{backup}/verify", dependencies=_WRITE)
def verify(request: Request, backup: BackupName, form: Posted) -> Response:
    """Begin a verification."""
    job = services_of(request).backups.start_verify(backup, restore=form.get("how") == "restore")
    return go(f"/backups/jobs/{job.id}")


@router.post("/{backup}/restore", dependencies=_ADMIN)
def restore(request: Request, backup: BackupName, form: Posted) -> Response:
    """Begin a restore; one that takes the place of a database asks first."""
    values: dict[str, Any] = {
        "id": backup, "into": form.get("into", ""), "swap": bool(form.get("swap")),
        "no_owner": bool(form.get("no_owner")),
    }  # fmt: skip
    order, errors = read(RestoreOrder, values)
    if order is None:
        return _one(request, backup, state(form, errors))
    services = services_of(request)
    if order.into in _databases(services) and form.get("confirmed") != order.into:
        if not order.swap:
            problem = f"There is a database {order.into} already: choose another name, or put this one in its place."
            return _one(request, backup, state(form, {"into": problem}))
        found = services.backups.get(backup)
        return show(request, "backups_swap.html", backup=found, order=order, form=state(form))
    try:
        job = services.backups.start_restore(order)
    except DtegError as error:
        return _one(request, backup, state(form, problem=refusal(error)))
    return go(f"/backups/jobs/{job.id}")


def _list(request: Request, form: FormState) -> Response:
    services = services_of(request)
    return show(
        request, "backups.html", status=422 if form.problem or form.errors else 200, form=form,
        backups=services.backups.all(limit=_SHOWN), jobs=services.backups.jobs(_SHOWN_JOBS), tones=TONES,
        databases=_databases(services),
    )  # fmt: skip


def _one(request: Request, backup: str, form: FormState) -> Response:
    found = services_of(request).backups.get(backup)
    manifest, problem = None, ""
    try:
        manifest = services_of(request).backups.manifest(backup)
    except DtegError as error:
        problem = refusal(error)
    return show(
        request, "backups_one.html", status=422 if form.problem or form.errors else 200, backup=found,
        manifest=manifest, problem=problem, form=form,
    )  # fmt: skip


def _result(job: Job) -> str:
    """Return where what came of a job is shown."""
    if job.state is not JobState.DONE:
        return ""
    return f"/backups/{job.result['id']}" if job.kind is JobKind.CREATE else f"/backups/{job.subject}"


def _databases(services: Services) -> list[str]:
    with session(services.project) as connection:
        return [str(name) for (name,) in connection.execute(_DATABASES)]

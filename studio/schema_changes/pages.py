"""Schema changes in the browser: what happened, what it broke, and what is listened to."""

import contextlib
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from dteg.core.clock import utc_now
from dteg.core.errors import ConfigError, DtegError, NotFoundError
from dteg.schema_changes.models import ChangeFilter
from dteg.schema_changes.service import parse_since
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Principal, Scope, allow
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of

NAVIGATION = ("Schema changes", "/schema-changes")
DONE = {
    "listening": "Changes of the database are captured from now on.",
    "unlistened": "Changes of the database are not captured any more. What is known stays.",
    "break-dismissed": "The break is closed.",
}
KINDS = (
    "table", "view", "materialized view", "index", "schema", "function", "type", "sequence", "trigger", "role",
    "database",
)  # fmt: skip
PAGE = 50
router = APIRouter(prefix="/schema-changes")
_READ = [allow(Scope.READ)]
_WRITE = [allow(Scope.WRITE)]
_Number = Annotated[int, Path(ge=0, le=2**63 - 1)]
_Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("", dependencies=_READ)
def changes(
    request: Request,
    *,
    database: _Text = "",
    table: _Text = "",
    kind: _Text = "",
    who: _Text = "",
    since: _Text = "",
    breaking: str = "",
    before: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> Response:
    """The list with its filters."""
    service = services_of(request).schema_changes
    given = {
        "database": database,
        "table": table,
        "kind": kind,
        "who": who,
        "since": since,
        "breaking": breaking,
    }
    form = state({name: value.strip() for name, value in given.items()})
    try:
        wanted = _filter(form)
    except ConfigError as error:
        form = state(form.given, {"since": refusal(error)})
        wanted = ChangeFilter.model_validate({})
    page = service.changes(wanted, before=before, limit=PAGE)
    asked = {name: value for name, value in form.given.items() if value}
    return show(
        request, "schema_changes_list.html", status=422 if form.errors else 200, changes=page.items, form=form,
        kinds=KINDS, listening=service.listening(), breaks=service.breaks(limit=20),
        older=f"/schema-changes?{urlencode({**asked, 'before': page.next})}" if page.next else "",
        is_filtered=bool(asked),
    )  # fmt: skip


@router.get("/events/{number}", dependencies=_READ)
def change(request: Request, number: _Number) -> Response:
    """One change, and the history of its table."""
    service = services_of(request).schema_changes
    found = service.change(number)
    history = []
    if found.table:
        wanted = ChangeFilter(database=found.database, table=found.table)
        history = service.changes(wanted, limit=PAGE, catch_up=False).items
    return show(request, "schema_changes_one.html", change=found, history=history)


@router.get("/listening", dependencies=_READ)
def listening(request: Request) -> Response:
    """What is listened to, and the form to listen to more."""
    return _listening(request)


@router.post("/listening", dependencies=_WRITE)
def listen(request: Request, form: Posted) -> Response:
    """Begin to listen."""
    tables = form.get("truncate", "").split()
    try:
        services_of(request).schema_changes.listen(
            form.get("database", ""),
            truncate=tables or None,
            keeps_text=form.get("without_text") != "yes",
            snapshot_only=form.get("snapshot_only") == "yes",
        )
    except DtegError as error:
        return _listening(request, state(form, problem=refusal(error)))
    return go("/schema-changes/listening", "listening")


@router.get("/listening/{database}/stop", dependencies=_WRITE)
def ask(request: Request, database: Annotated[str, Path(max_length=63)]) -> Response:
    """Ask before a capture ends."""
    return show(
        request, "schema_changes_stop.html", one=services_of(request).schema_changes.listening_to(database)
    )


@router.post("/listening/{database}/stop", dependencies=_WRITE)
def unlisten(request: Request, database: Annotated[str, Path(max_length=63)], _form: Posted) -> Response:
    """End a capture."""
    services_of(request).schema_changes.unlisten(database)
    return go("/schema-changes/listening", "unlistened")


@router.post("/breaks/{number}/dismiss")
def dismiss(
    request: Request, number: _Number, _form: Posted, who: Annotated[Principal, allow(Scope.WRITE)]
) -> Response:
    """Close a break; one that is closed already is fine, too."""
    with contextlib.suppress(NotFoundError):
        services_of(request).schema_changes.dismiss(number, who.name)
    return go("/schema-changes", "break-dismissed")


def summary(services: Services) -> Summary:
    """What the home page says."""
    service = services.schema_changes
    listening_, breaks = service.listening(), service.breaks(limit=5)
    newest = service.changes(limit=5 - min(3, len(breaks)), catch_up=False).items
    lines = [
        Line(f"{each.kind} {each.name}: {each.why}", "/schema-changes", "broken", "bad")
        for each in breaks[:3]
    ]
    lines += [
        Line(each.summary, f"/schema-changes/events/{each.id}", f"{each.at.day} {each.at:%b %H:%M} UTC")
        for each in newest
    ]
    bad = bool(breaks) or any(each.state != "on" for each in listening_)
    return Summary(
        "Schema changes", "/schema-changes",
        figures=(("listened to", str(len(listening_))), ("broken", str(len(breaks)))),
        lines=tuple(lines),
        empty="" if listening_ else "Listen to a database to see who changes its tables, and what that breaks.",
        tone="bad" if bad else "",
    )  # fmt: skip


def _filter(form: FormState) -> ChangeFilter:
    given = form.given
    since = None
    if given.get("since"):
        try:
            since = parse_since(given["since"], utc_now())
        except ValueError as error:
            raise ConfigError(f"Since: {error}; or write a day such as 2026-03-01") from None
    return ChangeFilter(
        database=given.get("database") or None,
        table=given.get("table") or None,
        kind=given.get("kind") or None,
        who=given.get("who") or None,
        since=since,
        breaking=bool(given.get("breaking")),
    )


def _listening(request: Request, form: FormState | None = None) -> Response:
    service = services_of(request).schema_changes
    listening_ = service.listening()
    names = {each.database for each in listening_}
    return show(
        request, "schema_changes_listening.html", status=422 if form else 200, listening=listening_,
        databases=[name for name in service.databases() if name not in names], form=form or FormState(),
    )  # fmt: skip

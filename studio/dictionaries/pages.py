"""Dictionaries in the browser: lists, rows to edit, files to import, and what was changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from dteg.core.errors import ConfigError, ConflictError, DtegError, NotFoundError
from dteg.dictionaries.models import (
    MAX_COLUMNS,
    SLUG_PATTERN,
    Dictionary,
    DictionaryColumn,
    DictionaryRows,
    DictionaryUpdate,
)
from dteg.tables.requests import checked
from dteg.tables.uploads import Uploads
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from dteg.webkit.formats import plural
from studio.access import Principal, Scope, allow
from studio.dictionaries.creation import HAND_COLUMNS, new_of, prefilled
from studio.dictionaries.grid import (
    LABELS,
    GridRow,
    Sent,
    grid_of,
    laid_over,
    ordered,
    read_form,
    rows_per_page,
    shown,
    with_errors,
)
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of
from studio.uploads import require_file

NAVIGATION = ("Dictionaries", "/dictionaries")
DONE = {
    "rows-saved": "Saved.",
    "nothing-changed": "Nothing was changed, so there was nothing to save.",
    "dictionary-made": "The dictionary is there; now it takes rows.",
    "dictionary-filled": "The dictionary is there, with the rows of the file.",
    "dictionary-changed": "Saved.",
    "file-imported": "The rows of the file are in the dictionary. The history shows what has changed.",
    "dictionary-deleted": "The dictionary was deleted.",
}
LONG = (r"/dictionaries/new/file", r"/dictionaries/[^/]+/import", r"/dictionaries/[^/]+/import/[0-9a-f]+")
SHOWN_CHANGES = 50
router = APIRouter(prefix="/dictionaries")
_READ, _WRITE, _ADMIN = [allow(Scope.READ)], [allow(Scope.WRITE)], [allow(Scope.ADMIN)]
Writer = Annotated[Principal, allow(Scope.WRITE)]
_Slug = Annotated[str, Path(max_length=41)]
_Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_Find = Annotated[str, Query(max_length=200)]
_After = Annotated[str, Query(max_length=2_000)]


@dataclass(frozen=True)
class Typed:
    """What was typed into the grid, and is not saved.

    Attributes:
        rows: The lines of the form.
        problem: Why.
        since: Version of the dictionary that whoever typed it has seen.
    """

    rows: list[GridRow]
    problem: str
    since: int


def summary(services: Services) -> Summary:
    """Say what the home page says of dictionaries."""
    found = services.dictionaries.dictionaries()
    newest = sorted(found, key=lambda each: each.changed_at, reverse=True)[:5]
    lines = tuple(Line(each.title, f"/dictionaries/{each.slug}", plural(each.rows, "row")) for each in newest)
    return Summary(
        "Dictionaries", "/dictionaries", (("dictionaries", f"{len(found)}"),), lines,
        "Make the first one: codes and their names, looked up in datasets.",
    )  # fmt: skip


@router.get("", dependencies=_READ)
def dictionaries(request: Request) -> Response:
    """The list."""
    return show(request, "dictionaries_list.html", items=services_of(request).dictionaries.dictionaries())


@router.get("/new", dependencies=_WRITE)
def new_form(request: Request, upload: Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")] = "") -> Response:
    """The form of a new one; with a file, its columns are filled in."""
    try:
        given = prefilled(services_of(request).project, upload) if upload else {}
    except DtegError as error:
        return _new_page(request, FormState({}, problem=refusal(error)), "")
    return _new_page(request, FormState(given), upload)


@router.post("/new/file", dependencies=_WRITE)
async def new_file(request: Request, form: Posted) -> Response:
    """Take a file in, and lead to the form with its columns."""
    try:
        upload = await _received(request)
    except DtegError as error:
        return _new_page(request, state(form, problem=refusal(error)), "")
    return go(f"/dictionaries/new?{urlencode({'upload': upload})}")


@router.post("/new")
def create(request: Request, form: Posted, who: Writer) -> Response:
    """Make it, and fill it if there is a file."""
    services = services_of(request)
    upload = form.get("upload", "")
    try:
        wanted = new_of(form)
        if upload:
            source = Uploads.of(services.project).source(upload)
            services.dictionaries.create_from_file(wanted, source.folder / source.path, who.name)
            Uploads.of(services.project).delete(upload)
        else:
            services.dictionaries.create(wanted, who.name)
    except DtegError as error:
        return _new_page(request, state(form, problem=refusal(error)), upload)
    return go(f"/dictionaries/{wanted.slug}", "dictionary-filled" if upload else "dictionary-made")


@router.get("/{slug}", dependencies=_READ)
def rows(request: Request, slug: _Slug, find: _Find = "", after: _After = "") -> Response:
    """Its rows, to edit for who may."""
    return _rows_page(request, _known(request, slug), find, after)


@router.post("/{slug}")
async def save(
    request: Request, slug: _Slug, _form: Posted, who: Writer, find: _Find = "", after: _After = ""
) -> Response:
    """Save what was typed; if something cannot be taken, nothing is saved and all is shown again."""
    # With the blanks that were typed, which `Posted` takes away.
    texts = {name: text for name, text in (await request.form()).items() if isinstance(text, str)}
    return await run_in_threadpool(_saved, request, slug, texts, who=who.name, find=find, after=after)


def _saved(
    request: Request, slug: str, texts: Mapping[str, str], *, who: str, find: str, after: str
) -> Response:
    found = _known(request, slug)
    sent = Sent()
    since = int(texts["since"]) if texts.get("since", "").isdecimal() else found.version
    try:
        sent = read_form(found, texts)
        if not sent.put and not sent.delete:
            return go(_rows_path(slug, find, after), "nothing-changed")
        services_of(request).dictionaries.put(
            slug, sent.put, who, since, delete=sent.delete, must_be_new=sent.new
        )
    except ConfigError as error:
        grid, others = with_errors(sent, error)
        typed = Typed(grid, "; ".join(others) or _WRONG, since)
        return _rows_page(request, found, find, after, typed)
    except ConflictError as error:
        # Whoever saves once more after this has been told, and has seen it in the history.
        said = refusal(error).partition(";")[0]
        typed = Typed(sent.rows, f"{said}. {_AGAIN}", found.version)
        return _rows_page(request, found, find, after, typed)
    except DtegError as error:
        return _rows_page(request, found, find, after, Typed(sent.rows, refusal(error), since))
    return go(_rows_path(slug, find, after), "rows-saved")


_AGAIN = "What you typed is still here and not saved; saving it now puts it in place of that change."
_WRONG = "Nothing is saved yet: some cells need another look. What is wrong stands below them."


@router.get("/{slug}/import", dependencies=_WRITE)
def import_form(request: Request, slug: _Slug) -> Response:
    """The form for a file."""
    return show(request, "dictionaries_import.html", dictionary=_known(request, slug), form=FormState())


@router.post("/{slug}/import", dependencies=_WRITE)
async def send(request: Request, slug: _Slug, form: Posted) -> Response:
    """Take a file in, and lead to what it would change."""
    found = await run_in_threadpool(_known, request, slug)
    try:
        upload = await _received(request)
    except DtegError as error:
        again = state(form, problem=refusal(error))
        return show(request, "dictionaries_import.html", status=422, dictionary=found, form=again)
    replace = form.get("replace") == "yes"
    query = urlencode({"replace": "yes"}) if replace else ""
    return go(f"/dictionaries/{slug}/import/{upload}" + (f"?{query}" if query else ""))


@router.get("/{slug}/import/{upload}", dependencies=_WRITE)
def import_preview(
    request: Request, slug: _Slug, upload: _Id, replace: Annotated[str, Query(max_length=3)] = ""
) -> Response:
    """What the file would change, or what is wrong with it, row by row; nothing is changed."""
    return _import_page(request, slug, upload, replace=replace == "yes")


@router.post("/{slug}/import/{upload}")
def import_now(request: Request, slug: _Slug, upload: _Id, form: Posted, who: Writer) -> Response:
    """Take the rows of the file."""
    services = services_of(request)
    replace = form.get("replace") == "yes"
    try:
        source = Uploads.of(services.project).source(upload)
        report = services.dictionaries.import_file(slug, source.folder / source.path, replace, who.name)
    except DtegError as error:
        return _import_page(request, slug, upload, replace=replace, problem=refusal(error))
    if not report.applied:
        return _import_page(request, slug, upload, replace=replace)
    Uploads.of(services.project).delete(upload)
    return go(f"/dictionaries/{slug}", "file-imported")


@router.get("/{slug}/history", dependencies=_READ)
def history(
    request: Request,
    slug: _Slug,
    before: Annotated[int | None, Query(ge=1)] = None,
    key: Annotated[str, Query(max_length=2_000)] = "",
) -> Response:
    """What was changed, newest first."""
    found = services_of(request).dictionaries.history(slug, SHOWN_CHANGES, before, key)
    query = urlencode({"key": key} if key else {})
    older = (
        f"/dictionaries/{slug}/history?before={found.next}{'&' if query else ''}{query}" if found.next else ""
    )
    return show(
        request, "dictionaries_history.html", dictionary=_known(request, slug), changes=found.items, key=key,
        older=older, shown=shown, before=before,
    )  # fmt: skip


@router.get("/{slug}/settings", dependencies=_WRITE)
def settings(request: Request, slug: _Slug) -> Response:
    """Its title and columns."""
    return _settings_page(request, _known(request, slug), FormState())


@router.post("/{slug}/settings", dependencies=_WRITE)
def change_settings(request: Request, slug: _Slug, form: Posted) -> Response:
    """Change its title, or add a column."""
    try:
        columns = []
        if form.get("name"):
            values = {name: form.get(name, "") for name in ("name", "type", "description")}
            columns = [checked(DictionaryColumn, **values)]
        services_of(request).dictionaries.update(
            slug, checked(DictionaryUpdate, title=form.get("title", ""), add_columns=columns)
        )
    except NotFoundError:
        raise
    except DtegError as error:
        return _settings_page(request, _known(request, slug), state(form, problem=refusal(error)))
    return go(f"/dictionaries/{slug}/settings", "dictionary-changed")


@router.get("/{slug}/delete", dependencies=_ADMIN)
def ask(request: Request, slug: _Slug) -> Response:
    """Ask before a dictionary is gone."""
    return show(request, "dictionaries_delete.html", dictionary=_known(request, slug), problem="")


@router.post("/{slug}/delete", dependencies=_ADMIN)
def delete(request: Request, slug: _Slug, _form: Posted) -> Response:
    """Delete it."""
    found = _known(request, slug)
    try:
        services_of(request).dictionaries.remove(slug)
    except DtegError as error:
        problem = refusal(error)
        return show(request, "dictionaries_delete.html", status=409, dictionary=found, problem=problem)
    return go("/dictionaries", "dictionary-deleted")


async def _received(request: Request) -> str:
    """Keep the file of a form; return the id it is found by.

    Raises:
        InputError: None was chosen, or it is empty.
    """
    return (await require_file(services_of(request).project, await request.form())).id


def _known(request: Request, slug: str) -> Dictionary:
    return services_of(request).dictionaries.get(slug)


def _rows_path(slug: str, find: str, after: str) -> str:
    query = urlencode({name: text for name, text in (("find", find), ("after", after)) if text})
    return f"/dictionaries/{slug}" + (f"?{query}" if query else "")


def _rows_page(
    request: Request,
    dictionary: Dictionary,
    find: str,
    after: str,
    typed: Typed | None = None,
) -> Response:
    limit = rows_per_page(dictionary)
    found: DictionaryRows = services_of(request).dictionaries.rows(dictionary.slug, limit, after, find)
    grid = grid_of(dictionary, found.rows)
    pages = {
        "first": _rows_path(dictionary.slug, find, "") if after else "",
        "next": _rows_path(dictionary.slug, find, found.next) if found.next else "",
    }
    return show(
        request, "dictionaries_rows.html", status=422 if typed else 200, dictionary=dictionary,
        columns=ordered(dictionary), grid=laid_over(grid, typed.rows) if typed else grid, find=find,
        problem=typed.problem if typed else "", pages=pages, since=typed.since if typed else found.version,
        action=_rows_path(dictionary.slug, find, after), labels=LABELS,
    )  # fmt: skip


def _import_page(request: Request, slug: str, upload: str, *, replace: bool, problem: str = "") -> Response:
    services = services_of(request)
    found = _known(request, slug)
    report = None
    try:
        source = Uploads.of(services.project).source(upload)
        report = services.dictionaries.import_file(slug, source.folder / source.path, replace, preview=True)
    except DtegError as error:
        problem = problem or refusal(error)
    bad = bool(problem or (report and report.problems))
    return show(
        request, "dictionaries_import_preview.html", status=422 if bad else 200, dictionary=found, report=report,
        problem=problem, upload=upload, replace=replace, shown=shown, columns=ordered(found),
    )  # fmt: skip


def _settings_page(request: Request, dictionary: Dictionary, form: FormState) -> Response:
    return show(
        request, "dictionaries_settings.html", status=422 if form.problem else 200, dictionary=dictionary, form=form,
        types=list(LABELS.items()), labels=LABELS,
    )  # fmt: skip


def _new_page(request: Request, form: FormState, upload: str) -> Response:
    wanted = form.value("columns")
    of_file = min(int(wanted), MAX_COLUMNS) if upload and wanted.isdecimal() else 0
    return show(
        request, "dictionaries_new.html", status=422 if form.problem else 200, form=form, upload=upload,
        types=list(LABELS.items()), count=of_file or HAND_COLUMNS,
        slug_pattern=SLUG_PATTERN.strip("^$"),
    )  # fmt: skip

"""Sources in the browser."""

import re
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from dteg.core.errors import DtegError, NotFoundError, UnavailableError
from dteg.sources.kinds import KINDS
from dteg.sources.models import WAREHOUSE, LinkReport, Probe, RowPage, Source, SourceTable, State
from dteg.sources.staging import keep_upload
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Scope, allow
from studio.cells import cell_text, number_columns
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of
from studio.sources import connecting, forms
from studio.sources.routes import Slug
from studio.uploads import keep_file

NAVIGATION = ("Sources", "/sources")
DONE = {
    "source-added": "The source was added, and its tables can be read.",
    "source-changed": "The source was changed.",
    "source-removed": "The source was removed. Nothing has changed in it.",
}
LONG = (r"/sources(/new)?", r"/sources/[^/]+/refresh")
PAGE_ROWS = 50
SLUG = re.compile(r"[a-z][a-z0-9_]{0,40}")
SHOWN_TABLES = 1_000
TONES = {State.OK: "good", State.FAILING: "warn", State.OPEN: "bad"}
WORDS = {State.OK: "answers", State.FAILING: "fails", State.OPEN: "does not answer"}
TITLES = {kind.kind: kind.title for kind in KINDS.values()}
router = APIRouter(prefix="/sources")
_READ, _WRITE, _ADMIN = [allow(Scope.READ)], [allow(Scope.WRITE)], [allow(Scope.ADMIN)]
_Table = Annotated[str, Path(max_length=300)]


def summary(services: Services) -> Summary:
    """Say what the home page says of sources."""
    found = [source for source in services.sources.sources() if source.slug != WAREHOUSE]
    bad = [source for source in found if source.state is not State.OK]
    lines = tuple(
        Line(source.title or source.slug, f"/sources/{source.slug}", WORDS[source.state], TONES[source.state])
        for source in (bad or found)[:5]
    )
    figures = (
        (("sources", str(len(found))), ("tables", str(sum(each.tables for each in found)))) if found else ()
    )
    return Summary(
        "Sources",
        "/sources",
        figures,
        lines,
        "Connect another database or a file.",
        "bad" if bad else "",
    )


@router.get("", dependencies=_READ)
def sources(request: Request) -> Response:
    """The list."""
    found = services_of(request).sources.sources()
    return show(
        request,
        "sources_list.html",
        sources=found,
        tones=TONES,
        words=WORDS,
        warehouse=WAREHOUSE,
        titles=TITLES,
    )


@router.get("/new", dependencies=_ADMIN)
def new(request: Request, kind: Annotated[str, Query(max_length=40)] = "") -> Response:
    """Choose a kind; then the form of it."""
    return _form(request, kind, FormState())


@router.post("/new", dependencies=_ADMIN)
async def add(request: Request, form: Posted) -> Response:
    """Add a source, or only test it; a file that is sent with it is kept for it."""
    sent = await request.form()
    kept = await keep_file(services_of(request).project, sent, "upload")
    await sent.close()
    return await run_in_threadpool(_add, request, form, kept.id if kept else "")


def _add(request: Request, form: dict[str, str], upload: str) -> Response:
    kind = forms.chosen_kind(form.get("kind", ""))
    if kind is None:
        return _form(request, "", state(form, problem="Choose a kind."), 422)
    if upload and SLUG.fullmatch(form.get("slug", "")):
        project = services_of(request).project
        form = {**form, f"{forms.PREFIX}path": keep_upload(project, form["slug"], upload)}
    wanted, errors = forms.new_source(kind, form)
    if wanted is None:
        return _form(request, kind.kind, _state(form, kind, errors), 422)
    service = services_of(request).sources
    replace = form.get("replace") == wanted.slug
    try:
        if form.get("do") == "test":
            return _form(request, kind.kind, _state(form, kind), probe=service.test(wanted))
        service.add(wanted, replace=replace)
    except DtegError as error:
        errors, problem = forms.field_errors(error)
        return _form(request, kind.kind, _state(form, kind, errors, problem), 422)
    return go(f"/sources/{wanted.slug}", "source-changed" if replace else "source-added")


@router.get("/{slug}", dependencies=_READ)
def source(request: Request, slug: Slug) -> Response:
    """One source and its tables."""
    return _source(request, slug)


@router.get("/{slug}/change", dependencies=_ADMIN)
def change(request: Request, slug: Slug) -> Response:
    """The form, filled with what is known; secrets stay where nothing is written."""
    found = services_of(request).sources.get(slug)
    kind = forms.chosen_kind(found.kind)
    if kind is None:
        raise NotFoundError(f"{slug} cannot be changed")
    return _form(request, kind.kind, FormState(_given(found)))


@router.post("/{slug}/test", dependencies=_WRITE)
def test(request: Request, slug: Slug, _form: Posted) -> Response:
    """Ask the source whether it answers."""
    return _source(request, slug, probe=services_of(request).sources.test(slug))


@router.post("/{slug}/refresh", dependencies=_WRITE)
def refresh(request: Request, slug: Slug, _form: Posted) -> Response:
    """Look at the source again, and say what has changed."""
    try:
        report = services_of(request).sources.refresh(slug)
    except NotFoundError:
        raise
    except DtegError as error:
        return _source(request, slug, problem=_said(error), status=422)
    return _source(request, slug, report=report)


@router.get("/{slug}/remove", dependencies=_ADMIN)
def ask(request: Request, slug: Slug) -> Response:
    """Ask before a source is removed."""
    return show(request, "sources_remove.html", source=services_of(request).sources.get(slug), problem="")


@router.post("/{slug}/remove", dependencies=_ADMIN)
def remove(request: Request, slug: Slug, _form: Posted) -> Response:
    """Remove it, unless datasets use it."""
    service = services_of(request).sources
    found = service.get(slug)
    try:
        service.remove(slug)
    except DtegError as error:
        return show(request, "sources_remove.html", status=409, source=found, problem=_said(error))
    return go("/sources", "source-removed")


@router.get("/{slug}/tables/{table:path}", dependencies=_READ)
def table(request: Request, slug: Slug, table: _Table, offset: Annotated[int, Query(ge=0)] = 0) -> Response:
    """One table: its columns and some of its rows."""
    service = services_of(request).sources
    found, rows, problem = service.table(slug, table), None, ""
    try:
        rows = service.rows(slug, found.full_name, PAGE_ROWS, offset) if found.linked else None
    except DtegError as error:
        problem = _said(error)
    return show(
        request, "sources_table.html", status=422 if problem else 200, source=service.get(slug), table=found, rows=rows,
        problem=problem, shown=cell_text, numbers=number_columns(rows.columns if rows else ()), pages=_pages(found, rows, offset), offset=offset,
    )  # fmt: skip


def _source(
    request: Request,
    slug: str,
    *,
    probe: Probe | None = None,
    report: LinkReport | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    service = services_of(request).sources
    found, tables = service.get(slug), service.tables(slug)
    return show(
        request, "sources_one.html", status=status, source=found, tables=tables[:SHOWN_TABLES],
        left=len(tables) - SHOWN_TABLES, probe=probe, report=report, problem=problem, tones=TONES, words=WORDS,
        warehouse=WAREHOUSE, path_of=_path_of, titles=TITLES,
    )  # fmt: skip


def _form(
    request: Request, kind: str, form: FormState, status: int = 200, probe: Probe | None = None
) -> Response:
    chosen = forms.chosen_kind(kind)
    if chosen is None:
        return show(request, "sources_kinds.html", status=status, kinds=forms.kinds(), form=form)
    return show(
        request, "sources_new.html", status=status, kind=chosen, form=form, fields=forms.fields(chosen),
        modes=forms.modes(chosen), hidden=forms.hidden(chosen), prefix=forms.PREFIX, probe=probe,
        changes=form.value("replace"), uploads=forms.takes_file(chosen),
        opened=any(name.startswith(forms.PREFIX) for name in form.errors), port=connecting.default_port(chosen),
    )  # fmt: skip


def _state(
    form: dict[str, str], kind: Any, errors: dict[str, str] | None = None, problem: str = ""
) -> FormState:
    """Return a form to be shown again: its passwords, which may be in the URL, only sealed."""
    secret = {connecting.URL, connecting.PASSWORD, *(forms.PREFIX + name for name in forms.hidden(kind))}
    given = {name: text for name, text in form.items() if name not in secret or text.startswith("secret://")}
    url, _ = connecting.url_of(kind, form)
    return state({**given, connecting.SEALED: connecting.seal(url)}, errors, problem)


def _given(source: Source) -> dict[str, str]:
    options = {
        forms.PREFIX + name: "\n".join(map(str, value)) if isinstance(value, list) else cell_text(value)
        for name, value in source.options.items()
    }
    return {
        **options, "replace": source.slug, "slug": source.slug, "title": source.title, "mode": source.mode,
        "tables": "\n".join(source.patterns),
        "url": source.address if source.address.startswith("secret://") else "",
    }  # fmt: skip


def _said(error: DtegError) -> str:
    """Return what a page says of an error; that a source is not available does not make the page so."""
    return str(error)[:1].upper() + str(error)[1:] if isinstance(error, UnavailableError) else refusal(error)


def _path_of(table: SourceTable) -> str:
    return f"/sources/{table.source}/tables/{quote(table.full_name)}"


def _pages(table: SourceTable, rows: RowPage | None, offset: int) -> dict[str, str]:
    found = {"before": "", "next": ""}
    if offset:
        before = max(offset - PAGE_ROWS, 0)
        found["before"] = f"{_path_of(table)}?{urlencode({'offset': before})}#rows"
    if rows and rows.more:
        found["next"] = f"{_path_of(table)}?{urlencode({'offset': offset + PAGE_ROWS})}#rows"
    return found

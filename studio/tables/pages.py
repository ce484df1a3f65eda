"""Tables in the browser."""

from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Request
from fastapi.responses import RedirectResponse, Response

from dteg.core.errors import DtegError, NotFoundError
from dteg.core.identifiers import TableName
from dteg.tables.loading import preview as preview_of
from dteg.tables.models import (
    EXPORT_FORMATS,
    FILE_FORMATS,
    CreateRequest,
    ExportFormat,
    ExportRequest,
    Preview,
    ReadRequest,
    Rows,
)
from dteg.tables.requests import checked, names_in, settings_in
from dteg.tables.uploads import Uploads
from dteg.tokens.visible import Visible
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from dteg.webkit.formats import plural
from studio.access import Principal, Scope, allow
from studio.cells import cell_text, number_columns
from studio.datasets.seeing import ONLY_SEEN_TABLES, closed_tables
from studio.rendering import Line, Posted, Summary, show
from studio.row_filter import HOWS, plain_refusal, sort_address, with_chosen
from studio.services import Services, services_of
from studio.tables.downloads import download
from studio.tables.jobs import jobs_of
from studio.uploads import require_file

NAVIGATION = ("Tables", "/tables")
DONE = {"table-deleted": "The table was deleted."}
LONG = (r"/tables/upload", r"/tables/upload/[0-9a-f]+", r"/tables/[^/]+/export")
PAGE_ROWS = 50
SHOWN_TABLES = 500
_SETTINGS = ("delimiter", "encoding", "sheet", "records_path", "member")
_TYPE = "type:"
router = APIRouter(prefix="/tables", dependencies=ONLY_SEEN_TABLES)
_READ, _WRITE, _ADMIN = [allow(Scope.READ)], [allow(Scope.WRITE)], [allow(Scope.ADMIN)]
_Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_Table = Annotated[str, Path(max_length=255)]


def summary(services: Services) -> Summary:
    """Say what the home page says of tables."""
    found = services.tables.list(limit=SHOWN_TABLES)
    closed = closed_tables(services, Visible())  # everybody sees the home page
    largest = sorted(
        (each for each in found.items if each.table not in closed), key=lambda each: -each.bytes
    )[:5]
    lines = tuple(
        Line(each.table, f"/tables/{each.table}", _rows(each.rows, exact=each.rows_are_exact, unit=True))
        for each in largest
    )
    more = "+" if found.next else ""
    return Summary(
        "Tables", "/tables", (("tables and views", f"{len(found.items)}{more}"),), lines,
        "Make the first one from a file.",
    )  # fmt: skip


@router.get("")
def tables(
    request: Request, who: Annotated[Principal, allow(Scope.READ)], schema: str = "", after: str = ""
) -> Response:
    """The list, by schema."""
    found = services_of(request).tables.list(schema, limit=SHOWN_TABLES, after=after)
    closed = closed_tables(services_of(request), who.sees)
    shown = [each for each in found.items if each.table not in closed]
    groups = [(name, list(each)) for name, each in groupby(shown, key=lambda item: item.table.split(".")[0])]
    following = f"/tables?{urlencode({'schema': schema, 'after': found.next})}" if found.next else ""
    return show(
        request, "tables_list.html", groups=groups, schema=schema, following=following, count=_rows,
        total=len(shown),
    )  # fmt: skip


@router.get("/upload", dependencies=_WRITE)
def upload_form(request: Request, table: str = "") -> Response:
    """The form for a file."""
    return _upload_page(request, FormState({"table": table}))


@router.post("/upload", dependencies=_WRITE)
async def upload(request: Request, form: Posted) -> Response:
    """Take a file in, and lead to what it would become."""
    sent = await request.form()
    try:
        table = checked(CreateRequest, table=form.get("table", "")).table
        made = await require_file(services_of(request).project, sent)
    except DtegError as error:
        return _upload_page(request, state(form, problem=refusal(error)))
    finally:
        await sent.close()
    query = {name: form[name] for name in ("format", *_SETTINGS) if form.get(name)}
    return go(f"/tables/upload/{made.id}?{urlencode({'table': table, **query})}")


@router.get("/upload/{upload_id}", dependencies=_WRITE)
def look(request: Request, upload_id: _Id) -> Response:
    """What the file would become, and the form to make it so."""
    return _preview_page(request, upload_id, dict(request.query_params))


@router.post("/upload/{upload_id}", dependencies=_WRITE)
def load(request: Request, upload_id: _Id, form: Posted) -> Response:
    """Begin to load the file."""
    if form.get("action") == "look":
        kept = {name: text for name, text in form.items() if text and name not in ("csrf", "action")}
        return go(f"/tables/upload/{upload_id}?{urlencode(kept)}")
    try:
        job = jobs_of(services_of(request)).start(_wanted(form), upload_id)
    except NotFoundError:
        raise
    except DtegError as error:
        return _preview_page(request, upload_id, form, refusal(error))
    query = urlencode(
        {"upload": upload_id, **{name: text for name, text in form.items() if text and name != "csrf"}}
    )
    return RedirectResponse(f"/tables/jobs/{job.id}?{query}", 303)


@router.get("/jobs/{job_id}", dependencies=_READ)
def job(request: Request, job_id: _Id, upload: str = "") -> Response:
    """How a load stands; the page asks again by itself."""
    found = jobs_of(services_of(request)).get(job_id)
    query = {name: text for name, text in request.query_params.items() if name not in ("upload", "action")}
    back = f"/tables/upload/{upload}?{urlencode(query)}" if upload else ""
    share = min(found.bytes / found.of_bytes, 1.0) if found.of_bytes and found.state == "running" else 0.0
    template = "tables_job_state.html" if request.headers.get("hx-request") else "tables_job.html"
    return show(request, template, job=found, back=back, percent=round(100 * share))


@router.get("/{table}", dependencies=_READ)
def table(request: Request, table: _Table, where: str = "", order_by: str = "", after: int = 0) -> Response:
    """One table: its columns and its rows."""
    service = services_of(request).tables
    detail = service.get(_dotted(table))
    query = {name: text for name, text in (("where", where), ("order_by", order_by)) if text}
    if request.query_params.get("column"):
        where = with_chosen(where, request.query_params, detail.columns)
        return _to_rows(detail.table, {**query, "where": where})
    rows, problem = None, ""
    try:
        wanted = checked(
            ReadRequest,
            table=detail.table,
            where=where,
            order_by=order_by,
            limit=PAGE_ROWS,
            after=max(after, 0),
        )
        rows = service.read(wanted)
    except DtegError as error:
        problem = plain_refusal(refusal(error))
    return show(
        request, "tables_table.html", status=422 if problem else 200, table=detail, rows=rows, problem=problem,
        where=where, order_by=order_by, after=after, pages=_pages(detail.table, rows, query, after),
        shown=cell_text, numbers=number_columns(rows.columns if rows else ()), count=_rows(detail.rows, exact=detail.rows_are_exact),
        formats=EXPORT_FORMATS, export_query=urlencode(query), hows=HOWS, begin=_begin(detail.table),
        sort_url=sort_address(f"/tables/{quote(detail.table)}", {"where": where} if where else {}, "order_by"),
    )  # fmt: skip


@router.get("/{table}/export", dependencies=_READ)
async def export(
    request: Request,
    table: _Table,
    format: ExportFormat,  # noqa: A002 - of the address
    where: str = "",
    order_by: str = "",
) -> Response:
    """The rows as a file."""
    wanted = checked(ExportRequest, table=_dotted(table), format=format, where=where, order_by=order_by)
    return await download(services_of(request), wanted)


@router.get("/{table}/delete", dependencies=_ADMIN)
def ask(request: Request, table: _Table) -> Response:
    """Ask before a table is gone, or say what needs it."""
    return _delete_page(request, table)


@router.post("/{table}/delete", dependencies=_ADMIN)
def delete(request: Request, table: _Table, _form: Posted) -> Response:
    """Delete it."""
    try:
        services_of(request).tables.delete(_dotted(table))
    except NotFoundError:
        raise
    except DtegError as error:
        return _delete_page(request, table, refusal(error))
    return go("/tables", "table-deleted")


def _begin(table: str) -> str:
    """Return what the page of a new dataset is asked to begin with; "" for what only a source or nobody reads."""
    schema, _, name = table.partition(".")
    if schema in ("ds", "dict"):
        return urlencode({"dataset" if schema == "ds" else "dictionary": name})
    return "" if schema.startswith(("src_", "ds_")) else urlencode({"source": "warehouse", "table": table})


def _to_rows(table: str, query: Mapping[str, str]) -> Response:
    """Lead to the rows that were chosen: the address then holds the condition itself."""
    return RedirectResponse(f"/tables/{quote(table)}?{urlencode(query)}#rows", 303)


def _delete_page(request: Request, table: str, problem: str = "") -> Response:
    service = services_of(request).tables
    detail, uses = service.get(_dotted(table)), service.uses(_dotted(table))
    return show(
        request, "tables_delete.html", status=409 if problem else 200, table=detail, uses=uses, problem=problem,
        count=_rows(detail.rows, exact=detail.rows_are_exact),
    )  # fmt: skip


def _upload_page(request: Request, form: FormState) -> Response:
    formats = [("", "from the name of the file"), *((name, name) for name in FILE_FORMATS)]
    status = 422 if form.problem else 200
    limit_mb = services_of(request).settings.max_upload_mb
    return show(request, "tables_upload.html", status=status, form=form, formats=formats, limit_mb=limit_mb)


def _preview_page(request: Request, upload_id: str, given: Mapping[str, str], problem: str = "") -> Response:
    project = services_of(request).project
    source = Uploads.of(project).source(upload_id)
    found: Preview | None = None
    try:
        # Keys and types that are wrong must not hide the columns they are chosen from.
        found = preview_of(project, _wanted(given), source)
    except DtegError as error:
        problem = problem or refusal(error)
        found = _plain_preview(request, upload_id, given)
    form = state(given, problem=problem)
    return show(
        request, "tables_preview.html", status=422 if problem else 200, upload=upload_id, file=source.path, preview=found,
        form=form, given=given, formats=[("", "from the name of the file"), *((name, name) for name in FILE_FORMATS)],
        settings=_SETTINGS, prefix=_TYPE,
    )  # fmt: skip


def _plain_preview(request: Request, upload_id: str, given: Mapping[str, str]) -> Preview | None:
    """Return what the file would become without types and key; None if it cannot be read at all."""
    project = services_of(request).project
    kept = {name: text for name, text in given.items() if not name.startswith(_TYPE) and name != "key"}
    try:
        return preview_of(
            project, _wanted({**kept, "table": "public.preview"}), Uploads.of(project).source(upload_id)
        )
    except DtegError:
        return None


def _wanted(given: Mapping[str, str]) -> CreateRequest:
    """Return what a form asks for.

    Raises:
        ConfigError: It does not fit.
    """
    types = {
        name.removeprefix(_TYPE): text for name, text in given.items() if name.startswith(_TYPE) and text
    }
    values: dict[str, Any] = {
        "table": given.get("table", ""), "format": given.get("format") or None, "types": types,
        "key": names_in(given.get("key", "")), "mode": given.get("mode") or "new",
        "max_bad_rows": given.get("max_bad_rows") or 0,
        "options": settings_in([f"{name}={given[name]}" for name in _SETTINGS if given.get(name)]),
    }  # fmt: skip
    return checked(CreateRequest, **values)


def _dotted(table: str) -> str:
    """Return the name of a table in an address, which always names the schema: so no table hides another page."""
    if "." not in table:
        raise NotFoundError("there is no such page")
    return str(TableName.parse(table))


def _pages(table: str, rows: Rows | None, query: dict[str, str], after: int) -> dict[str, str]:
    """Return the addresses of the page before and of the next one."""
    found = {"before": "", "next": ""}
    if after > 0:
        found["before"] = f"/tables/{table}?{urlencode({**query, 'after': max(after - PAGE_ROWS, 0)})}#rows"
    if rows is not None and rows.next is not None:
        found["next"] = f"/tables/{table}?{urlencode({**query, 'after': rows.next})}#rows"
    return found


def _rows(rows: int | None, *, exact: bool, unit: bool = False) -> str:
    """Return a number of rows for people."""
    if rows is None:
        return ""
    number = plural(rows, "row") if unit else f"{rows:,}"
    return number if exact else f"about {number}"

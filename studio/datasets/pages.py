"""Datasets in the browser: the list, one dataset with its rows and generations, and what can be done with it."""

from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from dteg.core.durations import describe_duration
from dteg.core.errors import ConflictError, DtegError
from dteg.core.schedules import describe
from dteg.datasets.models import (
    SLUG_PATTERN,
    Dataset,
    DatasetState,
    GenerationStatus,
    RowPage,
)
from dteg.tokens.visible import Visible
from dteg.webapp.forms import refusal
from dteg.webapp.pages import go
from studio.access import Scope, allow
from studio.cells import cell_text, number_columns
from studio.datasets import builder
from studio.datasets.seeing import ONLY_SEEN
from studio.rendering import Line, Posted, Summary, show
from studio.row_filter import HOWS, plain_refusal, sort_address, with_chosen
from studio.services import Services, services_of

NAVIGATION = ("Datasets", "/datasets")
DONE = {
    "refresh-begun": "The refresh has begun. Readers see the rows before until it is done.",
    "rolled-back": "Readers see the earlier generation again.",
    "dataset-removed": "The dataset was removed.",
    "dataset-saved": "The dataset was saved. Refresh it to have rows by its new definition.",
}
LONG = (*getattr(builder, "LONG", ()), r"/datasets/[^/]+/(rollback|remove)")
PAGE_ROWS = 50
SHOWN_GENERATIONS = 20
router = APIRouter(dependencies=ONLY_SEEN)
# Before anything with a name in its address: `new` and `builder` are none.
router.include_router(builder.router)
_READ, _WRITE, _ADMIN = [allow(Scope.READ)], [allow(Scope.WRITE)], [allow(Scope.ADMIN)]
_Slug = Annotated[str, Path(pattern=SLUG_PATTERN)]
_Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]
# The number of the last generation before a refresh was begun from a page; its process takes a second to begin a new one.
_Begun = Annotated[int, Query(ge=-1, le=2_000_000_000)]
_MOST_ASKED = 60
_STATES = {DatasetState.ACTIVE: "good", DatasetState.BROKEN: "bad"}
_STATUSES = {
    GenerationStatus.LIVE: "good", GenerationStatus.FAILED: "bad", GenerationStatus.BUILDING: "accent",
    GenerationStatus.BUILT: "accent", GenerationStatus.CHECKED: "accent",
}  # fmt: skip


def summary(services: Services) -> Summary:
    """Say what the home page says of datasets: without roles, for everybody sees the home page."""
    found = services.datasets.datasets(Visible())
    bad = [each for each in found if each.problem]
    stale = [each for each in found if each.stale and not each.problem]
    rest = [each for each in found if not each.problem and not each.stale and each.live]
    lines = [Line(each.title or each.slug, _path(each.slug), str(_word(each)), "bad") for each in bad[:3]]
    lines += [Line(each.title or each.slug, _path(each.slug), "stale", "warn") for each in stale[:2]]
    lines += [Line(each.title or each.slug, _path(each.slug), f"{_rows(each)} rows") for each in rest]
    figures = (("datasets", str(len(found))), ("stale", str(len(stale)))) if found else ()
    return Summary(
        "Datasets", "/datasets", figures, tuple(lines[:5]),
        "Put tables of several databases together, without SQL.", "bad" if bad else "",
    )  # fmt: skip


@router.get("/datasets")
def datasets(request: Request, who: builder.Reader) -> Response:
    """The list."""
    found = services_of(request).datasets.datasets(who.sees)
    return show(request, "datasets_list.html", datasets=found, **_words())


@router.get("/datasets/{slug}", dependencies=_READ)
def one(
    request: Request,
    slug: _Slug,
    *,
    where: Annotated[str, Query(max_length=10_000)] = "",
    order: Annotated[str, Query(max_length=64)] = "",
    offset: _Offset = 0,
    begun: _Begun = -1,
) -> Response:
    """One dataset: how it is, its rows, its generations and its definition."""
    service = services_of(request).datasets
    dataset = service.get(slug)
    query = {name: text for name, text in (("where", where), ("order", order)) if text}
    if dataset.live and request.query_params.get("column"):
        chosen = with_chosen(where, request.query_params, dataset.live.columns)
        return RedirectResponse(f"{_path(slug)}?{urlencode({**query, 'where': chosen})}#rows", 303)
    rows, problem = None, ""
    if dataset.live:
        try:
            rows = service.rows(slug, PAGE_ROWS, offset, where, order)
        except DtegError as error:
            problem = plain_refusal(refusal(error))
    return show(
        request, "datasets_one.html", dataset=dataset, rows=rows, problem=problem, where=where, order=order,
        pages=_pages(slug, rows, query, offset), numbers=number_columns(rows.columns if rows else ()), shown=cell_text,
        generations=service.generations(slug, SHOWN_GENERATIONS), yaml=service.export(slug), links=_links(slug),
        when=_when(dataset), poll=_poll(dataset, begun, 0), hows=HOWS,
        export_query=urlencode({"order_by" if name == "order" else name: text for name, text in query.items()}),
        sort_url=sort_address(_path(slug), {"where": where} if where else {}, "order"), **_words(),
    )  # fmt: skip


@router.get("/datasets/{slug}/state", dependencies=_READ)
def state(
    request: Request, slug: _Slug, begun: _Begun = -1, asked: Annotated[int, Query(ge=0, le=1_000_000)] = 0
) -> Response:
    """How it is now: the part of its page that asks again by itself while rows are built."""
    dataset = services_of(request).datasets.get(slug)
    poll = _poll(dataset, begun, asked + 1)
    answer = show(request, "datasets_state.html", dataset=dataset, poll=poll, **_words())
    if not poll:
        # The rows below are of another generation now.
        answer.headers["HX-Redirect"] = _path(slug)
    return answer


@router.get("/datasets/{slug}/yaml", dependencies=_READ)
def download(request: Request, slug: _Slug) -> Response:
    """The definition as a file."""
    text = services_of(request).datasets.export(slug)
    headers = {"Content-Disposition": f'attachment; filename="{slug}.yaml"'}
    return Response(text, media_type="application/yaml", headers=headers)


@router.post("/datasets/{slug}/refresh", dependencies=_WRITE)
def refresh(request: Request, slug: _Slug, _form: Posted) -> Response:
    """Begin a refresh."""
    service = services_of(request).datasets
    last = service.get(slug).last
    try:
        service.start(slug)
    except ConflictError:  # it goes on already, which is what was wanted
        return go(_path(slug))
    return go(f"{_path(slug)}?begun={last.n if last else 0}", "refresh-begun")


@router.post("/datasets/{slug}/rollback", dependencies=_WRITE)
def rollback(request: Request, slug: _Slug, form: Posted) -> Response:
    """Let readers see an earlier generation again."""
    number = form.get("n", "")
    services_of(request).datasets.rollback(slug, int(number) if number.isdecimal() else None)
    return go(_path(slug), "rolled-back")


@router.get("/datasets/{slug}/remove", dependencies=_ADMIN)
def ask(request: Request, slug: _Slug) -> Response:
    """Ask before a dataset is removed."""
    return _remove_page(request, slug)


@router.post("/datasets/{slug}/remove", dependencies=_ADMIN)
def remove(request: Request, slug: _Slug, _form: Posted) -> Response:
    """Remove a dataset."""
    try:
        services_of(request).datasets.remove(slug)
    except ConflictError as error:
        return _remove_page(request, slug, refusal(error))
    return go("/datasets", "dataset-removed")


def _remove_page(request: Request, slug: str, problem: str = "") -> Response:
    service = services_of(request).datasets
    return show(
        request, "datasets_remove.html", status=409 if problem else 200, dataset=service.get(slug),
        uses=service.uses(slug), problem=problem, **_words(),
    )  # fmt: skip


def _path(slug: str) -> str:
    return f"/datasets/{slug}"


def _poll(dataset: Dataset, begun: int, asked: int) -> str:
    """Return where the page asks again how the dataset is; empty if nothing goes on."""
    is_beginning = begun >= 0 and (dataset.last is None or dataset.last.n <= begun) and asked < _MOST_ASKED
    if dataset.building is None and not is_beginning:
        return ""
    return f"{_path(dataset.slug)}/state?{urlencode({'begun': begun, 'asked': asked})}"


def _words() -> dict[str, Any]:
    """Return what all templates of datasets say and colour alike."""
    return {"states": _STATES, "statuses": _STATUSES, "age": _age, "word": _word}


def _age(seconds: float) -> str:
    return describe_duration(timedelta(seconds=seconds)).replace(".0 ", " ")


def _when(dataset: Dataset) -> str:
    """Say when it is refreshed, and by which clock; "" if by hand."""
    if not dataset.schedule:
        return ""
    return f"{describe(dataset.schedule)} ({(dataset.spec.get('cache') or {}).get('timezone') or 'UTC'})"


def _word(dataset: Dataset) -> str:
    """Say in a word or two what is wrong."""
    if dataset.state is DatasetState.BROKEN:
        return "broken"
    return "not refreshed" if dataset.problem else "stale" if dataset.stale else ""


def _rows(dataset: Dataset) -> str:
    return f"{dataset.live.rows:,}" if dataset.live and dataset.live.rows is not None else ""


def _links(slug: str) -> list[tuple[str, str]]:
    """Return label and address of what others show of a dataset."""
    return [
        ("Make a chart", f"/charts/new?{urlencode({'dataset': slug})}"),
        ("History", f"/datasets/{slug}/history"),
    ]


def _pages(slug: str, rows: RowPage | None, query: dict[str, str], offset: int) -> dict[str, str]:
    """Return the addresses of the page before and of the next one."""
    found = {"before": "", "next": ""}
    if offset > 0:
        found["before"] = f"{_path(slug)}?{urlencode({**query, 'offset': max(offset - PAGE_ROWS, 0)})}#rows"
    if rows is not None and rows.next is not None:
        found["next"] = f"{_path(slug)}?{urlencode({**query, 'offset': rows.next})}#rows"
    return found

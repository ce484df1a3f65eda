"""Dashboards in the browser."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from dteg.charts.drawing import freshness_of
from dteg.charts.models import SLUG, Chart, ChartType, Drawing, Freshness
from dteg.charts.picture import cell_text
from dteg.charts.reading import columns_of
from dteg.core.errors import DtegError
from dteg.dashboards.models import PERIODS, Dashboard, DashboardFilter, DashboardSpec, Tile
from dteg.webapp.forms import read, refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState, render_markdown
from dteg.webkit.formats import plural
from studio.access import Principal, Scope, allow
from studio.dashboards import forms
from studio.dashboards.routes import values_of
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of
from studio.two_tabs import changed_by, is_outdated

NAVIGATION = ("Dashboards", "/dashboards")
DONE = {
    "dashboard-made": "The dashboard is there: put charts on it.",
    "dashboard-saved": "The dashboard is saved.",
    "dashboard-removed": "The dashboard was removed; its charts are still there.",
    "dashboards-imported": "The file was imported.",
}
router = APIRouter(prefix="/dashboards")
Reader = Annotated[Principal, allow(Scope.READ)]
Writer = Annotated[Principal, allow(Scope.WRITE)]
Slug = Annotated[str, Path(pattern=SLUG)]
# Drawn by the server as a part of the page; the others by the script.
_AS_HTML = (ChartType.NUMBER, ChartType.TABLE)
_TABLE_ROWS = 50
_MAX_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class ShownTile:
    """A tile as the template has it.

    Attributes:
        number: Its place in the dashboard.
        tile: Where it is.
        title: What stands above it.
        chart: The chart; None for a text, and for a chart that is not for who looks.
        html: Text as HTML.
        drawing: Of a number or table.
        problem: Why it cannot be shown.
        freshness: How old its data is.
    """

    number: int
    tile: Tile
    title: str
    chart: Chart | None = None
    html: str = ""
    drawing: Drawing | None = None
    problem: str = ""
    freshness: Freshness | None = None


@router.get("")
def dashboards(request: Request, who: Reader) -> Response:
    """The list."""
    return _list(request, who)


@router.post("")
def create(request: Request, who: Writer, form: Posted) -> Response:
    """Make an empty dashboard."""
    spec, errors = read(DashboardSpec, {"dashboard": form.get("slug", ""), "title": form.get("title", "")})
    if spec is None:
        named = {("slug" if name == "dashboard" else name): text for name, text in errors.items()}
        return _list(request, who, state(form, named))
    try:
        services_of(request).dashboards.save(spec, who=who.name, sees=who.sees)
    except DtegError as error:
        return _list(request, who, state(form, problem=refusal(error)))
    return go(f"/dashboards/{spec.dashboard}/edit", "dashboard-made")


@router.post("/import")
async def import_file(request: Request, who: Writer, form: Posted) -> Response:
    """Import a file of YAML."""
    file = (await request.form()).get("file")
    text = form.get("text", "")
    if isinstance(file, UploadFile) and file.filename:
        text = (await file.read(_MAX_FILE + 1)).decode("utf-8-sig", "replace")
    return await run_in_threadpool(_import, request, who, text)


@router.get("/{slug}")
def dashboard_page(request: Request, who: Reader, slug: Slug) -> Response:
    """One dashboard."""
    service = services_of(request).dashboards
    board = service.get(slug, who.sees)
    values = values_of(request)
    query = urlencode([(name, value) for name, each in values.items() for value in each])
    tiles = _tiles(request, board.spec, who, values)
    filters = [_filter(service, board.spec, number, values, who) for number in range(len(board.spec.filters))]
    return show(
        request, "dashboards_one.html", board=board, spec=board.spec, tiles=tiles, filters=filters, query=query,
        cell=cell_text, periods=PERIODS, rows=_TABLE_ROWS, ages=_ages(tiles),
    )  # fmt: skip


@router.get("/{slug}/edit")
def edit(request: Request, who: Writer, slug: Slug) -> Response:
    """The form of a dashboard."""
    board = services_of(request).dashboards.get(slug, who.sees)
    return _editor(request, who, board, FormState(forms.form_of(board.spec)))


@router.post("/{slug}/edit")
def change(request: Request, who: Writer, slug: Slug, form: Posted) -> Response:
    """Change a dashboard; each button of the form saves it."""
    service = services_of(request).dashboards
    board = service.get(slug, who.sees)
    if is_outdated(form, board.updated_at):
        # The form names tiles by their place: on another dashboard they would be other tiles.
        problem = (
            f"{changed_by(board)}. The tiles are shown as they are now, without what was moved on this page; save again to"
            " keep the rest of what is written here."
        )
        return _editor(request, who, board, state(form, problem=problem), 409)
    before = board.spec
    charts = {each.slug: each for each in service.charts.charts(who.sees)}
    spec, errors = read(DashboardSpec, forms.values_of(form, before, charts))
    if spec is None:
        problem = errors.pop("", "").removeprefix(": Value error, ")
        return _editor(request, who, board, state(form, errors, problem), 422)
    try:
        service.save(spec, replace=True, who=who.name, sees=who.sees)
    except DtegError as error:
        return _editor(request, who, board, state(form, problem=refusal(error)), 422)
    back = f"/dashboards/{slug}/edit" if form.get("do", "save") != "save" else f"/dashboards/{slug}"
    return go(back, "dashboard-saved")


@router.get("/{slug}/remove")
def ask(request: Request, who: Writer, slug: Slug) -> Response:
    """Ask before a dashboard is removed."""
    return show(request, "dashboards_remove.html", board=services_of(request).dashboards.get(slug, who.sees))


@router.post("/{slug}/remove")
def remove(request: Request, who: Writer, slug: Slug, _form: Posted) -> Response:
    """Delete a dashboard."""
    services_of(request).dashboards.remove(slug, who.sees)
    return go("/dashboards", "dashboard-removed")


def summary(services: Services) -> Summary:
    """Say what the home page says of dashboards: of those that are for everybody."""
    found = [each for each in services.dashboards.dashboards() if not each.spec.roles]
    lines = tuple(
        Line(each.title, f"/dashboards/{each.slug}", plural(len(each.spec.tiles), "tile"))
        for each in found[:5]
    )
    figures = (("dashboards", str(len(found))),) if found else ()
    return Summary("Dashboards", "/dashboards", figures, lines, "Put charts, numbers and texts on a page.")


def _list(request: Request, who: Principal, form: FormState | None = None) -> Response:
    found = services_of(request).dashboards.dashboards(who.sees)
    return show(
        request, "dashboards_list.html", status=422 if form else 200, boards=found, form=form or FormState()
    )


def _import(request: Request, who: Principal, text: str) -> Response:
    try:
        done = services_of(request).dashboards.import_(text, who=who.name, sees=who.sees)
    except DtegError as error:
        return _list(request, who, FormState(problem=refusal(error)))
    one = done.dashboards[0] if len(done.dashboards) == 1 else ""
    return go(f"/dashboards/{one}" if one else "/dashboards", "dashboards-imported")


def _tiles(
    request: Request, spec: DashboardSpec, who: Principal, values: Mapping[str, list[str]]
) -> list[ShownTile]:
    """Return the tiles from the upper left to the lower right, as they are read out and shown on a phone."""
    service = services_of(request).dashboards
    charts = {each.slug: each for each in service.shown(spec, who.sees)}
    ages = {
        name: freshness_of(service.project, name)
        for name in sorted({each.spec.source.dataset for each in charts.values()})
    }
    order = sorted(range(len(spec.tiles)), key=lambda number: (spec.tiles[number].y, spec.tiles[number].x))
    found = []
    for number in order:
        tile = spec.tiles[number]
        if tile.text is not None:
            found.append(ShownTile(number, tile, tile.title, html=render_markdown(tile.text)))
            continue
        chart = charts.get(tile.chart or "")
        if chart is None:
            found.append(
                ShownTile(number, tile, tile.title, problem="This chart is not there, or not for you.")
            )
            continue
        drawing, problem = None, ""
        if chart.spec.type in _AS_HTML:
            try:
                drawing = service.tile(spec.dashboard, number, values, who.sees)
            except DtegError as error:
                problem = refusal(error)
        age = ages[chart.spec.source.dataset]
        found.append(ShownTile(number, tile, tile.title or chart.title, chart, "", drawing, problem, age))
    return found


def _ages(tiles: list[ShownTile]) -> list[Freshness]:
    """Return the datasets of the tiles, each once."""
    return list({each.freshness.dataset: each.freshness for each in tiles if each.freshness}.values())


def _filter(
    service: Any, spec: DashboardSpec, number: int, values: Mapping[str, list[str]], who: Principal
) -> dict[str, Any]:
    """Return a filter as the template has it."""
    each: DashboardFilter = spec.filters[number]
    given = values.get(f"f{number}")
    chosen = [value for value in (each.default if given is None else given) if value]
    low, _, high = (chosen[0] if chosen else "").partition("..")
    options: list[str] = []
    if each.type == "choice":
        try:
            options = service.choices(spec, each.field, who.sees)
        except DtegError:
            options = []
        options += [value for value in chosen if value not in options]
    return {
        "name": f"f{number}", "type": each.type, "title": each.title or each.field.replace("_", " "), "chosen": chosen,
        "low": low, "high": high, "options": options,
        "is_date": each.type == "range" and _is_day(low, high) and _is_time(service, spec, each.field, who),
    }  # fmt: skip


def _is_time(service: Any, spec: DashboardSpec, field: str, who: Principal) -> bool:
    """Return whether a filter is about times: those of the first dataset with that column."""
    for dataset in sorted({each.spec.source.dataset for each in service.shown(spec, who.sees)}):
        for column in columns_of(service.project, dataset):
            if column.name == field:
                return column.kind == "time"
    return False


def _is_day(*texts: str) -> bool:
    """Return whether a field for days can show all of these; the text of another one would be lost in it."""
    return all(re.fullmatch(r"(\d{4}-\d{2}-\d{2})?", text) for text in texts)


def _editor(
    request: Request, who: Principal, board: Dashboard, form: FormState, status: int = 200
) -> Response:
    service = services_of(request).dashboards
    charts = service.charts.charts(who.sees)
    return show(
        request, "dashboards_edit.html", status=status, spec=board.spec, form=form, charts=charts,
        titles={each.slug: each.title for each in charts}, filters=forms.filter_rows(form.given),
        since=board.updated_at.isoformat(),
    )  # fmt: skip

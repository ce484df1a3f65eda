"""Charts and geo layers in the browser."""

import contextlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from dteg.charts.extras import check_extras
from dteg.charts.layers import NewGeoLayer
from dteg.charts.models import SLUG, ChartSpec, Drawing
from dteg.charts.picture import cell_text
from dteg.charts.reading import columns_of, datasets_with_data
from dteg.core.errors import DtegError, NotFoundError
from dteg.core.geojson import MAX_BYTES
from dteg.datasets.visible import hidden
from dteg.tokens.visible import Visible
from dteg.webapp.forms import read, refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Principal, Scope, allow
from studio.charts import forms
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of
from studio.two_tabs import changed_by, is_outdated

NAVIGATION = ("Charts", "/charts")
DONE = {
    "chart-saved": "The chart is saved.",
    "chart-removed": "The chart was removed.",
    "layer-added": "The areas are there.",
    "layer-removed": "The areas were removed.",
}
LONG = (r"/charts/areas",)
router = APIRouter(prefix="/charts")
Reader = Annotated[Principal, allow(Scope.READ)]
Writer = Annotated[Principal, allow(Scope.WRITE)]
ChartSlug = Annotated[str, Path(pattern=SLUG)]
Name = Annotated[str, Query(max_length=128)]
SHOWN_ROWS = 200


@router.get("")
def charts(request: Request, who: Reader) -> Response:
    """The list."""
    return show(request, "charts_list.html", charts=services_of(request).charts.charts(who.sees))


@router.get("/choose")
def choose(request: Request, who: Writer) -> Response:
    """Choose the data of a new chart."""
    services = services_of(request)
    return show(
        request,
        "charts_choose.html",
        datasets=_datasets(services, who.sees),
        metrics=_metrics(services, who.sees),
    )


@router.get("/new")
def new(request: Request, who: Writer, dataset: Name = "", metric: Name = "") -> Response:
    """The form of a new chart."""
    if not dataset:
        return go("/charts/choose")
    return _form(request, who, FormState({"dataset": dataset, "metric": metric}), "")


@router.post("")
def create(request: Request, who: Writer, form: Posted) -> Response:
    """Keep a new chart, or only show it."""
    return _save(request, who, form, "")


@router.post("/preview")
def preview(request: Request, who: Writer, form: Posted) -> Response:
    """Draw what the form says while it is filled in, for the script of the page."""
    spec, problem, errors = _spec_of(form, drafting=True)
    if spec is None:
        return JSONResponse({"problem": problem or "; ".join(errors.values())})
    try:
        drawing = services_of(request).charts.preview(spec, who.sees)
    except DtegError as error:
        return JSONResponse({"problem": refusal(error)})
    return JSONResponse(drawing.model_dump(mode="json"))


@router.get("/areas")
def areas(request: Request, _who: Reader) -> Response:
    """The areas of maps."""
    return _areas(request)


@router.post("/areas")
async def add_areas(request: Request, _who: Writer, form: Posted) -> Response:
    """Take areas from a file."""
    return await _add_areas(request, form)


@router.post("/areas/{slug}/remove")
def remove_areas(request: Request, _who: Writer, slug: ChartSlug, _form: Posted) -> Response:
    """Delete areas that no chart uses."""
    try:
        services_of(request).charts.layers.remove(slug)
    except DtegError as error:
        return _areas(request, FormState(problem=refusal(error)))
    return go("/charts/areas", "layer-removed")


@router.get("/{slug}")
def chart_page(request: Request, who: Reader, slug: ChartSlug) -> Response:
    """One chart with its data."""
    charts_ = services_of(request).charts
    chart = charts_.get(slug, who.sees)
    drawing, problem = _drawn(lambda: charts_.drawing(slug, (), who.sees))
    return show(
        request, "charts_one.html", chart=chart, drawing=drawing, problem=problem, cell=cell_text, shown=SHOWN_ROWS,
        spec=chart.spec,
    )  # fmt: skip


@router.get("/{slug}/edit")
def edit(request: Request, who: Writer, slug: ChartSlug) -> Response:
    """The form of a chart."""
    chart = services_of(request).charts.get(slug, who.sees)
    given = {**forms.form_of(chart.spec), "since": chart.updated_at.isoformat()}
    return _form(request, who, FormState(given), slug)


@router.post("/{slug}/edit")
def change(request: Request, who: Writer, slug: ChartSlug, form: Posted) -> Response:
    """Change a chart, or only show what it would be."""
    chart = services_of(request).charts.get(slug, who.sees)
    if form.get("do") != "preview" and is_outdated(form, chart.updated_at):
        problem = f"{changed_by(chart)}. Look at it in another tab; save again to put yours in its place."
        known = {**form, "slug": slug, "since": chart.updated_at.isoformat()}
        return _form(request, who, state(known, problem=problem), slug, 409)
    return _save(request, who, {**form, "slug": slug}, slug)


@router.get("/{slug}/remove")
def ask(request: Request, who: Writer, slug: ChartSlug) -> Response:
    """Ask before a chart is removed."""
    services = services_of(request)
    chart = services.charts.get(slug, who.sees)
    return show(request, "charts_remove.html", chart=chart, shown=services.dashboards.showing(slug))


@router.post("/{slug}/remove")
def remove(request: Request, who: Writer, slug: ChartSlug, _form: Posted) -> Response:
    """Delete a chart."""
    services_of(request).charts.remove(slug, who.sees)
    return go("/charts", "chart-removed")


def summary(services: Services) -> Summary:
    """Say what the home page says of charts: without roles, for everybody sees the home page."""
    found = services.charts.charts(Visible())
    lines = tuple(Line(each.title, f"/charts/{each.slug}", each.spec.type.value) for each in found[:5])
    figures = (("charts", str(len(found))),) if found else ()
    return Summary("Charts", "/charts", figures, lines, "Draw the numbers of a dataset.")


def _save(request: Request, who: Principal, form: dict[str, str], slug: str) -> Response:
    if form.get("do") == "preview":
        return _form(request, who, state(form), slug, with_preview=True)
    spec, problem, errors = _spec_of(form)
    if spec is None:
        return _form(request, who, state(form, errors, problem), slug, 422)
    try:
        services_of(request).charts.save(spec, replace=bool(slug), who=who.name, sees=who.sees)
    except DtegError as error:
        return _form(request, who, state(form, problem=refusal(error)), slug, 422)
    return go(f"/charts/{spec.chart}", "chart-saved")


def _spec_of(form: dict[str, str], *, drafting: bool = False) -> tuple[ChartSpec | None, str, dict[str, str]]:
    """Return the chart that a form describes, or what is wrong; a draft needs no name yet."""
    if drafting:
        form = {**form, "slug": form.get("slug") or "draft", "title": form.get("title") or "Preview"}
    try:
        values = forms.values_of(form)
        check_extras(values.get("vega_lite", {}))
    except ValueError as error:
        return None, str(error), {}
    spec, errors = read(ChartSpec, values)
    if spec is not None:
        return spec, "", {}
    told = _told(values)
    if "" in errors:
        return None, told.get("", errors[""]), {}
    names = {"chart": "slug", "vega_lite": "more"}
    return None, "", {names.get(name, name): told.get(name, text) for name, text in errors.items()}


def _told(values: dict[str, Any]) -> dict[str, str]:
    """Return what our own checks say, by field: it says more than that something does not fit."""
    try:
        ChartSpec.model_validate(values)
    except ValidationError as error:
        return {
            str(each["loc"][0]) if each["loc"] else "": each["msg"].removeprefix("Value error, ")
            for each in error.errors()
            if each["type"] == "value_error"
        }
    return {}


def _drawn(draw: Any) -> tuple[Drawing | None, str]:
    try:
        return draw(), ""
    except DtegError as error:
        return None, refusal(error)


def _form(
    request: Request,
    who: Principal,
    form: FormState,
    slug: str,
    status: int = 200,
    *,
    with_preview: bool = False,
) -> Response:
    services = services_of(request)
    dataset, metric = form.value("dataset"), form.value("metric")
    if dataset in hidden(services.project, who.sees):
        raise NotFoundError(f"there is no dataset {dataset!r}")
    drawing, problem = None, ""
    if with_preview:
        spec, problem, errors = _spec_of(dict(form.given), drafting=True)
        problem = problem or "; ".join(errors.values())
        if spec is not None:
            drawing, problem = _drawn(lambda: services.charts.preview(spec, who.sees))
    columns = [] if metric else columns_of(services.project, dataset)
    return show(
        request, "charts_form.html", status=status, form=form, slug=slug, dataset=dataset, metric=metric,
        columns=columns, forms=forms, layers=services.charts.layers.layers(), drawing=drawing, problem=problem,
        cell=cell_text, measures=forms.rows_of(form.given, "y", forms.MEASURES, 2),
        filters=forms.rows_of(form.given, "where", forms.FILTERS, 1), series=_series(services, dataset, metric),
        shown=SHOWN_ROWS,
    )  # fmt: skip


def _areas(request: Request, form: FormState | None = None) -> Response:
    layers = services_of(request).charts.layers.layers()
    return show(
        request, "charts_areas.html", status=422 if form else 200, layers=layers, form=form or FormState()
    )


async def _add_areas(request: Request, form: dict[str, str]) -> Response:
    file = (await request.form()).get("file")
    new, errors = read(
        NewGeoLayer,
        {
            "slug": form.get("slug", ""),
            "title": form.get("title", ""),
            "replace": form.get("replace") == "yes",
        },
    )
    if new is None:
        return await run_in_threadpool(_areas, request, state(form, errors))
    if not isinstance(file, UploadFile) or not file.filename:
        return await run_in_threadpool(_areas, request, state(form, {"file": "File: choose a GeoJSON file."}))
    content = await file.read(MAX_BYTES + 1)
    try:
        await run_in_threadpool(services_of(request).charts.layers.add, new, content, file.filename)
    except DtegError as error:
        return await run_in_threadpool(_areas, request, state(form, problem=refusal(error)))
    return go("/charts/areas", "layer-added")


def _datasets(services: Services, sees: Visible) -> list[tuple[str, str]]:
    """Return slug and title of the datasets that can be drawn."""
    from dteg.datasets.service import Datasets

    titles: dict[str, str] = {}
    with contextlib.suppress(DtegError):
        titles = {each.slug: each.title for each in Datasets.of(services.project).datasets()}
    closed = hidden(services.project, sees)
    there = [name for name in datasets_with_data(services.project) if name not in closed]
    return [(name, titles.get(name, "")) for name in there]


def _metrics(services: Services, sees: Visible) -> list[tuple[str, str]]:
    """Return dataset and name of the metrics that have a history."""
    from dteg.snapshots.service import Snapshots

    snapshots = Snapshots.of(services.project)
    found: list[tuple[str, str]] = []
    for dataset, _ in _datasets(services, sees):
        try:
            found += [(dataset, each.name) for each in snapshots.metrics(dataset) if each.series]
        except DtegError:
            continue
    return found


def _series(services: Services, dataset: str, metric: str) -> list[tuple[str, str]]:
    """Return the series of a metric: as the form sends them, and as people read them."""
    if not metric:
        return []
    from dteg.snapshots.dims import by_words
    from dteg.snapshots.service import Snapshots

    try:
        found = [each.by for each in Snapshots.of(services.project).series(dataset, metric) if each.by]
    except DtegError:
        return []
    return [(json.dumps(by), by_words(by)) for by in found[:200]]

"""Charts and geo layers over HTTP."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from dteg.charts.layers import GeoLayer, NewGeoLayer
from dteg.charts.models import SLUG, Chart, ChartData, ChartSpec, Drawing, Filter
from dteg.charts.picture import HEIGHT, MAX_SIZE, MIN_SIZE, WIDTH
from dteg.core.errors import ConfigError, InputError
from dteg.core.geojson import MAX_BYTES
from studio.access import Principal, Scope, allow
from studio.answers import After, Limit, Page, page_of, require_match, with_etag
from studio.leaving import while_wanted
from studio.services import services_of

LONG = (r"/api/v1/geo-layers", r"/api/v1/charts/[^/]+/(png|svg)")
router = APIRouter(tags=["charts"])
ChartSlug = Annotated[str, Path(pattern=SLUG, description="Slug of the chart.")]
LayerSlug = Annotated[str, Path(pattern=SLUG, description="Slug of the geo layer.")]
Reader = Annotated[Principal, allow(Scope.READ)]
Writer = Annotated[Principal, allow(Scope.WRITE)]
Filters = Annotated[
    list[str],
    Query(max_length=20, alias="filter", description='Conditions: {"field": ..., "op": ..., "value": ...} as JSON.'),
]  # fmt: skip
Width = Annotated[int, Query(ge=MIN_SIZE, le=MAX_SIZE, description="Width (pixels).")]
Height = Annotated[int, Query(ge=MIN_SIZE, le=MAX_SIZE, description="Height (pixels).")]
# What a browser opens as a page of its own: nothing in it may run or load.
_PICTURE = {"Cache-Control": "private, no-store"}
_BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/geo+json": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class YamlText(BaseModel):
    """A text to apply.

    Attributes:
        text: YAML of one chart, or of a list under `charts:`.
    """

    text: str


class Applied(BaseModel):
    """What was written.

    Attributes:
        charts: Slugs.
    """

    charts: list[str]


@router.get("/charts")
def list_charts(request: Request, who: Reader, limit: Limit = 100, after: After = "") -> Page[Chart]:
    """List the charts that may be seen."""
    return page_of(services_of(request).charts.charts(who.sees), limit, after, key=lambda each: each.slug)


@router.post("/charts", status_code=201)
def create_chart(
    request: Request,
    who: Writer,
    spec: ChartSpec,
    replace: Annotated[bool, Query(description="Whether there may be one of this name.")] = False,
) -> Chart:
    """Keep a chart."""
    return services_of(request).charts.save(spec, replace=replace, who=who.name, sees=who.sees)


@router.post("/charts/preview")
async def preview_chart(request: Request, who: Writer, spec: ChartSpec) -> Drawing:
    """Draw a chart without keeping it."""
    return await while_wanted(request, lambda: services_of(request).charts.preview(spec, who.sees))


@router.post("/charts/apply")
def apply_charts(request: Request, who: Writer, body: YamlText) -> Applied:
    """Write the charts of a YAML text, in place of those of the same names."""
    found = services_of(request).charts.apply(body.text, who=who.name, sees=who.sees)
    return Applied(charts=[each.slug for each in found])


@router.get("/charts/{slug}", response_model=Chart)
def get_chart(request: Request, who: Reader, slug: ChartSlug) -> Response:
    """Return one chart."""
    return with_etag(request, services_of(request).charts.get(slug, who.sees))


@router.put("/charts/{slug}")
def change_chart(request: Request, who: Writer, slug: ChartSlug, spec: ChartSpec) -> Chart:
    """Change a chart."""
    charts = services_of(request).charts
    require_match(request, charts.get(slug, who.sees))
    if spec.chart != slug:
        raise ConfigError(f"the chart is called {spec.chart!r} in the body and {slug!r} in the address")
    return charts.save(spec, replace=True, who=who.name, sees=who.sees)


@router.delete("/charts/{slug}", status_code=204)
def delete_chart(request: Request, who: Writer, slug: ChartSlug) -> None:
    """Delete a chart that no dashboard shows."""
    services_of(request).charts.remove(slug, who.sees)


@router.get("/charts/{slug}/data")
async def chart_data(request: Request, who: Reader, slug: ChartSlug, filters: Filters = []) -> ChartData:  # noqa: B006
    """Return the rows of a chart, at most 5,000, grouped in SQL."""
    chosen = filters_of(filters)
    return await while_wanted(request, lambda: services_of(request).charts.data(slug, chosen, who.sees))


@router.get("/charts/{slug}/vega")
async def chart_vega(request: Request, who: Reader, slug: ChartSlug, filters: Filters = []) -> Drawing:  # noqa: B006
    """Return the Vega-Lite of a chart with its rows and the age of its data."""
    chosen = filters_of(filters)
    return await while_wanted(request, lambda: services_of(request).charts.drawing(slug, chosen, who.sees))


@router.get("/charts/{slug}/png", response_class=Response)
def chart_png(  # noqa: PLR0917 - what the address says
    request: Request,
    who: Reader,
    slug: ChartSlug,
    width: Width = WIDTH,
    height: Height = HEIGHT,
    filters: Filters = [],  # noqa: B006
) -> Response:
    """Return a chart as a PNG of twice as many pixels."""
    picture = services_of(request).charts.png(slug, width, height, filters_of(filters), who.sees)
    return Response(picture, media_type="image/png", headers={**_PICTURE, **_named(f"{slug}.png")})


@router.get("/charts/{slug}/svg", response_class=Response)
def chart_svg(  # noqa: PLR0917 - what the address says
    request: Request,
    who: Reader,
    slug: ChartSlug,
    width: Width = WIDTH,
    height: Height = HEIGHT,
    filters: Filters = [],  # noqa: B006
) -> Response:
    """Return a chart as an SVG."""
    picture = services_of(request).charts.svg(slug, width, height, filters_of(filters), who.sees)
    return Response(picture, media_type="image/svg+xml", headers={**_PICTURE, **_named(f"{slug}.svg")})


@router.get("/charts/{slug}/yaml", response_class=Response)
def chart_yaml(request: Request, who: Reader, slug: ChartSlug) -> Response:
    """Return a chart as YAML."""
    text = services_of(request).charts.export(slug, who.sees)
    return Response(text, media_type="application/yaml", headers=_named(f"{slug}.yaml"))


@router.get("/geo-layers")
def list_layers(request: Request, _who: Reader, limit: Limit = 100, after: After = "") -> Page[GeoLayer]:
    """List the geo layers."""
    return page_of(services_of(request).charts.layers.layers(), limit, after, key=lambda each: each.slug)


@router.post("/geo-layers", status_code=201, openapi_extra=_BYTES)
async def add_layer(
    request: Request,
    _who: Writer,
    slug: Annotated[str, Query(pattern=SLUG, description="Slug.")],
    title: Annotated[str, Query(max_length=120, description="Title; default: the slug.")] = "",
    replace: Annotated[bool, Query(description="Whether there may be one of this name.")] = False,
) -> GeoLayer:
    """Check, simplify and keep a GeoJSON file, sent as the body."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BYTES:
            raise InputError(f"the file is larger than {MAX_BYTES // 1_000_000} MB; simplify it first")
    new = NewGeoLayer(slug=slug, title=title, replace=replace)
    layers = services_of(request).charts.layers
    return await run_in_threadpool(layers.add, new, bytes(content))


@router.get("/geo-layers/{slug}")
def get_layer(request: Request, _who: Reader, slug: LayerSlug) -> GeoLayer:
    """Return one geo layer, without its features."""
    return services_of(request).charts.layers.get(slug)


@router.get("/geo-layers/{slug}/features", response_class=Response)
def layer_features(request: Request, _who: Reader, slug: LayerSlug) -> Response:
    """Return the areas of a geo layer as GeoJSON."""
    text = json.dumps(services_of(request).charts.layers.features(slug), ensure_ascii=False)
    return Response(text, media_type="application/geo+json", headers=_named(f"{slug}.geojson"))


@router.delete("/geo-layers/{slug}", status_code=204)
def delete_layer(request: Request, _who: Writer, slug: LayerSlug) -> None:
    """Delete a geo layer that no chart uses."""
    services_of(request).charts.layers.remove(slug)


def filters_of(texts: list[str]) -> list[Filter]:
    """Read conditions of a query.

    Raises:
        ConfigError: One is none.
    """
    try:
        return [Filter.model_validate_json(text) for text in texts]
    except ValidationError as error:
        raise ConfigError(f"filter: {error.errors()[0]['msg']}") from None


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}

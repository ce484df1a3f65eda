"""Dashboards over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from dteg.charts.models import SLUG, Drawing, Freshness
from dteg.core.errors import ConfigError
from dteg.dashboards.models import MAX_TILES, Dashboard, DashboardSpec, Imported, ImportOrder
from dteg.dashboards.picture import MAX_WIDTH, MIN_WIDTH
from studio.access import Principal, Scope, allow
from studio.answers import After, Limit, Page, page_of, require_match, with_etag
from studio.leaving import while_wanted
from studio.services import services_of

LONG = (r"/api/v1/dashboards/[^/]+/png",)
router = APIRouter(tags=["dashboards"])
Slug = Annotated[str, Path(pattern=SLUG, description="Slug of the dashboard.")]
Place = Annotated[int, Path(ge=0, lt=MAX_TILES, description="Which tile, from 0.")]
Reader = Annotated[Principal, allow(Scope.READ)]
Writer = Annotated[Principal, allow(Scope.WRITE)]


@router.get("/dashboards")
def list_dashboards(request: Request, who: Reader, limit: Limit = 100, after: After = "") -> Page[Dashboard]:
    """List the dashboards that may be seen."""
    found = services_of(request).dashboards.dashboards(who.sees)
    return page_of(found, limit, after, key=lambda each: each.slug)


@router.post("/dashboards", status_code=201)
def create_dashboard(
    request: Request,
    who: Writer,
    spec: DashboardSpec,
    replace: Annotated[bool, Query(description="Whether there may be one of this name.")] = False,
) -> Dashboard:
    """Keep a dashboard."""
    return services_of(request).dashboards.save(spec, replace=replace, who=who.name, sees=who.sees)


@router.post("/dashboards/import")
def import_dashboards(request: Request, who: Writer, body: ImportOrder) -> Imported:
    """Write the dashboards and charts of a YAML text, in place of those of the same names: all or nothing."""
    return services_of(request).dashboards.import_(body.text, who=who.name, sees=who.sees)


@router.get("/dashboards/export", response_class=Response)
def export_all(request: Request, who: Reader) -> Response:
    """Return all dashboards that may be seen, with their charts, as YAML."""
    return _yaml(services_of(request).dashboards.export(None, who.sees), "dashboards")


@router.get("/dashboards/{slug}", response_model=Dashboard)
def get_dashboard(request: Request, who: Reader, slug: Slug) -> Response:
    """Return one dashboard."""
    return with_etag(request, services_of(request).dashboards.get(slug, who.sees))


@router.put("/dashboards/{slug}")
def change_dashboard(request: Request, who: Writer, slug: Slug, spec: DashboardSpec) -> Dashboard:
    """Change a dashboard."""
    dashboards = services_of(request).dashboards
    require_match(request, dashboards.get(slug, who.sees))
    if spec.dashboard != slug:
        raise ConfigError(
            f"the dashboard is called {spec.dashboard!r} in the body and {slug!r} in the address"
        )
    return dashboards.save(spec, replace=True, who=who.name, sees=who.sees)


@router.delete("/dashboards/{slug}", status_code=204)
def delete_dashboard(request: Request, who: Writer, slug: Slug) -> None:
    """Delete a dashboard; its charts stay."""
    services_of(request).dashboards.remove(slug, who.sees)


@router.get("/dashboards/{slug}/export", response_class=Response)
def export_dashboard(request: Request, who: Reader, slug: Slug) -> Response:
    """Return a dashboard with its charts as YAML."""
    return _yaml(services_of(request).dashboards.export(slug, who.sees), slug)


@router.get("/dashboards/{slug}/freshness")
def dashboard_freshness(request: Request, who: Reader, slug: Slug) -> list[Freshness]:
    """Return how old the datasets of a dashboard are."""
    return services_of(request).dashboards.freshness(slug, who.sees)


@router.get("/dashboards/{slug}/tiles/{place}")
async def dashboard_tile(request: Request, who: Reader, slug: Slug, place: Place) -> Drawing:
    """Return one tile as Vega-Lite with rows; `f0`, `f1`, ... in the query are what is chosen in the filters."""
    chosen = values_of(request)
    return await while_wanted(
        request, lambda: services_of(request).dashboards.tile(slug, place, chosen, who.sees)
    )


@router.get("/dashboards/{slug}/png", response_class=Response)
def dashboard_png(
    request: Request,
    who: Reader,
    slug: Slug,
    width: Annotated[int, Query(ge=MIN_WIDTH, le=MAX_WIDTH, description="Width (pixels).")] = 1200,
) -> Response:
    """Return a picture of a whole dashboard; filters as those of a tile."""
    picture = services_of(request).dashboards.png(slug, width, values_of(request), who.sees)
    headers = {
        "Content-Disposition": f'attachment; filename="{slug}.png"',
        "Cache-Control": "private, no-store",
    }
    return Response(picture, media_type="image/png", headers=headers)


def values_of(request: Request) -> dict[str, list[str]]:
    """Return what is chosen in the filters: `f0`, `f1` and so on of the query; a span also as `f0_from` and `f0_to`."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name[:1] == "f" and name[1:].isdecimal() and len(name) <= 3:
            found.setdefault(name, []).append(value[:1000])
    for name in request.query_params:
        number, _, end = name.partition("_")
        if number[:1] == "f" and number[1:].isdecimal() and len(number) <= 3 and end in ("from", "to"):
            ends = [request.query_params.get(f"{number}_{each}", "").strip()[:500] for each in ("from", "to")]
            found[number] = ["..".join(ends) if any(ends) else ""]
    return found


def _yaml(text: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.yaml"'}
    return Response(text, media_type="application/yaml", headers=headers)

"""Snapshots, trends and forecasts over HTTP."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from dteg.snapshots.dims import parse_by
from dteg.snapshots.models import (
    Dims,
    Forecast,
    ForecastOrder,
    ForecastRun,
    Metric,
    NewPoint,
    Point,
    Pruned,
    RowSnapshot,
    Series,
    Taken,
    TakeOrder,
    Trend,
)
from studio.access import Scope, allow
from studio.answers import Limit, Page
from studio.datasets.seeing import ONLY_KNOWN
from studio.services import services_of

router = APIRouter(prefix="/snapshots", tags=["snapshots"], dependencies=ONLY_KNOWN)
# The process that forecasts may have to start first.
LONG = (r"/api/v1/snapshots/[^/]+/(takes|forecasts|points)", r"/api/v1/snapshots/prune")
_READ, _WRITE, _ADMIN = [allow(Scope.READ)], [allow(Scope.WRITE)], [allow(Scope.ADMIN)]
_Slug = Annotated[str, Path(max_length=60, pattern=r"^[^\x00/]+$", description="Slug of the dataset.")]
_Text = Annotated[str, Query(max_length=128, pattern=r"^[^\x00]*$", description="Name of a metric.")]
_By = Annotated[
    list[Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]],
    Query(
        max_length=16,
        description="`name=value` of each column that series are kept apart by; none: the total.",
    ),
]
_Time = Annotated[datetime | None, Query(description="ISO 8601; without zone: UTC.")]


class NewPoints(BaseModel):
    """Points of the past from elsewhere."""

    metric: str = Field(max_length=128, pattern=r"^[^\x00]*$", description="Name of the metric.")
    by: Dims = Field({}, max_length=16, description="Which series.")
    points: list[NewPoint] = Field(min_length=1, max_length=10_000, description="Times and numbers.")


@router.post("/prune", dependencies=_ADMIN)
def prune(request: Request) -> Pruned:
    """Delete what the definitions of the datasets do not want to keep any longer."""
    return services_of(request).snapshots.prune()


@router.get("/{dataset}/metrics", dependencies=_READ)
def list_metrics(request: Request, dataset: _Slug) -> Page[Metric]:
    """List the numbers that are, or will be, remembered of a dataset."""
    return Page(items=services_of(request).snapshots.metrics(dataset))


@router.get("/{dataset}/series", dependencies=_READ)
def list_series(request: Request, dataset: _Slug, metric: _Text = "", limit: Limit = 1000) -> Page[Series]:
    """List the series that have points: by metric, the total first, then the greatest."""
    return Page(items=services_of(request).snapshots.series(dataset, metric, limit))


@router.get("/{dataset}/points", dependencies=_READ)
def list_points(  # noqa: PLR0917 - the parts of a query
    request: Request,
    dataset: _Slug,
    metric: _Text,
    by: _By = [],  # noqa: B006 - FastAPI copies it
    since: _Time = None,
    until: _Time = None,
    limit: Annotated[int, Query(ge=1, le=100_000, description="The newest so many.")] = 10_000,
) -> Page[Point]:
    """List the newest points of a series, oldest first."""
    found = services_of(request).snapshots.points(dataset, metric, parse_by(by), since, until, limit)
    return Page(items=found)


@router.post("/{dataset}/points", dependencies=_WRITE)
def add_points(request: Request, dataset: _Slug, new: NewPoints) -> Series:
    """Add points of the past that are known from elsewhere."""
    return services_of(request).snapshots.add(dataset, new.metric, new.points, new.by)


@router.get("/{dataset}/takes", dependencies=_READ)
def list_takes(request: Request, dataset: _Slug, limit: Limit = 50) -> Page[Taken]:
    """List when a dataset was looked at, newest first."""
    return Page(items=services_of(request).snapshots.takes(dataset, limit))


@router.post("/{dataset}/takes", dependencies=_WRITE)
def take(request: Request, dataset: _Slug, order: TakeOrder) -> Taken:
    """Remember the numbers of a dataset at a planned time; again changes nothing."""
    return services_of(request).snapshots.take(dataset, order.slot, force_rows=order.force_rows)


@router.get("/{dataset}/rows", dependencies=_READ)
def list_rows(request: Request, dataset: _Slug, limit: Limit = 1000) -> Page[RowSnapshot]:
    """List the times of which whole rows are kept, newest first."""
    return Page(items=services_of(request).snapshots.row_snapshots(dataset, limit))


@router.get("/{dataset}/trend", dependencies=_READ)
def read_trend(request: Request, dataset: _Slug, metric: _Text, by: _By = []) -> Trend:  # noqa: B006
    """Say how a series goes: changes, direction, unusual values."""
    return services_of(request).snapshots.trend(dataset, metric, parse_by(by))


@router.get("/{dataset}/forecasts", dependencies=_READ)
def list_forecasts(request: Request, dataset: _Slug, metric: _Text = "", by: _By = []) -> Page[Forecast]:  # noqa: B006
    """List the newest forecast of each series that has one; with a metric that of one series."""
    return Page(items=services_of(request).snapshots.forecasts(dataset, metric, parse_by(by)))


@router.post("/{dataset}/forecasts", dependencies=_WRITE)
def forecast(request: Request, dataset: _Slug, order: ForecastOrder) -> Page[Forecast]:
    """Forecast a series, or all of a dataset; too few points are a state, not an error."""
    snapshots = services_of(request).snapshots
    if order.metric:
        made = [snapshots.forecast(dataset, order.metric, order.by, order.horizon, fresh=order.fresh)]
    else:
        made = snapshots.forecast_all(dataset, order.horizon, fresh=order.fresh)
    return Page(items=made)


@router.get("/{dataset}/forecast-run", dependencies=_READ)
def read_forecast_run(request: Request, dataset: _Slug) -> ForecastRun | None:
    """Say what came of the last forecasts of a dataset that were made by the clock; null before the first."""
    return services_of(request).snapshots.forecast_run(dataset)


@router.delete("/{dataset}", status_code=204, dependencies=_ADMIN)
def forget(request: Request, dataset: _Slug) -> None:
    """Delete all that is remembered of a dataset."""
    services_of(request).snapshots.forget(dataset)

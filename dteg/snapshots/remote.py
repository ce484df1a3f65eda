"""Snapshots of a studio, over HTTP: the same methods as `Snapshots`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dteg.snapshots.dims import by_texts
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
from dteg.studio_client import StudioClient, quoted

_PATH = "/snapshots"


class RemoteSnapshots:
    """See `dteg.snapshots.service.Snapshots`.

    Args:
        client: Of the studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def take(self, dataset: str, slot: datetime | None = None, *, force_rows: bool = False) -> Taken:
        """Remember the numbers of a dataset at a planned time."""
        order = TakeOrder(slot=slot, force_rows=force_rows)
        return Taken.model_validate(self._client.post(_of(dataset, "takes"), order.model_dump(mode="json")))

    def add(self, dataset: str, metric: str, points: Sequence[NewPoint], by: Dims | None = None) -> Series:
        """Add points of the past that are known from elsewhere."""
        body = {
            "metric": metric,
            "by": by or {},
            "points": [point.model_dump(mode="json") for point in points],
        }
        return Series.model_validate(self._client.post(_of(dataset, "points"), body))

    def takes(self, dataset: str, limit: int = 50) -> list[Taken]:
        """Return when a dataset was looked at, newest first."""
        return [Taken.model_validate(each) for each in self._items(dataset, "takes", limit=limit)]

    def metrics(self, dataset: str) -> list[Metric]:
        """Return the numbers that are, or will be, remembered of a dataset."""
        return [Metric.model_validate(each) for each in self._items(dataset, "metrics")]

    def series(self, dataset: str, metric: str = "", limit: int = 1000) -> list[Series]:
        """Return the series that have points."""
        found = self._items(dataset, "series", metric=metric, limit=min(limit, 1000))
        return [Series.model_validate(each) for each in found]

    def points(  # noqa: PLR0917 - the parts of a question
        self,
        dataset: str,
        metric: str,
        by: Dims | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 10_000,
    ) -> list[Point]:
        """Return the newest points of a series, oldest first."""
        times = {"since": since.isoformat() if since else None, "until": until.isoformat() if until else None}
        found = self._items(dataset, "points", metric=metric, by=by_texts(by or {}), limit=limit, **times)
        return [Point.model_validate(each) for each in found]

    def row_snapshots(self, dataset: str, limit: int = 1000) -> list[RowSnapshot]:
        """Return the times of which whole rows are kept, newest first."""
        return [RowSnapshot.model_validate(each) for each in self._items(dataset, "rows", limit=limit)]

    def trend(self, dataset: str, metric: str, by: Dims | None = None) -> Trend:
        """Return what the points of a series say."""
        return Trend.model_validate(
            self._client.get(_of(dataset, "trend"), metric=metric, by=by_texts(by or {}))
        )

    def forecast(
        self,
        dataset: str,
        metric: str,
        by: Dims | None = None,
        horizon: int | None = None,
        *,
        fresh: bool = False,
    ) -> Forecast:
        """Return what is expected of a series, and keep it."""
        order = ForecastOrder(metric=metric, by=by or {}, horizon=horizon, fresh=fresh)
        return self._ordered(dataset, order)[0]

    def forecast_all(
        self, dataset: str, horizon: int | None = None, *, fresh: bool = False
    ) -> list[Forecast]:
        """Return what is expected of all series of a dataset."""
        return self._ordered(dataset, ForecastOrder(horizon=horizon, fresh=fresh))

    def forecasts(self, dataset: str, metric: str = "", by: Dims | None = None) -> list[Forecast]:
        """Return the newest forecast of each series that has one."""
        found = self._items(dataset, "forecasts", metric=metric, by=by_texts(by or {}))
        return [Forecast.model_validate(each) for each in found]

    def forecast_run(self, dataset: str) -> ForecastRun | None:
        """Return what came of the last forecasts that were made by the clock."""
        found = self._client.get(_of(dataset, "forecast-run"))
        return ForecastRun.model_validate(found) if found else None

    def prune(self) -> Pruned:
        """Delete what the definitions of the datasets do not want to keep any longer."""
        return Pruned.model_validate(self._client.post(f"{_PATH}/prune"))

    def forget(self, dataset: str) -> None:
        """Delete all that is remembered of a dataset."""
        self._client.delete(f"{_PATH}/{quoted(dataset)}")

    def _ordered(self, dataset: str, order: ForecastOrder) -> list[Forecast]:
        made = self._client.post(_of(dataset, "forecasts"), order.model_dump(mode="json"))
        return [Forecast.model_validate(each) for each in made["items"]]

    def _items(self, dataset: str, what: str, **query: Any) -> list[Any]:
        items: list[Any] = self._client.get(_of(dataset, what), **query)["items"]
        return items


def _of(dataset: str, what: str) -> str:
    return f"{_PATH}/{quoted(dataset)}/{what}"

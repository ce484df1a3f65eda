"""What snapshots keep in `_dteg`: the only code that names its tables."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dteg.core.errors import NotFoundError
from dteg.core.queries import load_queries
from dteg.core.suggest import did_you_mean
from dteg.snapshots.dims import by_texts
from dteg.snapshots.models import Dims, Forecast, Point, Series, Taken, json_of

DOMAIN = "snapshots"
SQL = {name: text.encode() for name, text in load_queries(Path(__file__).with_name("queries.sql")).items()}
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)
MAX_POINTS = 100_000
MAX_LISTED = 10_000
Connection = psycopg.Connection[Any]
Key = tuple[str, str]
"""Name of a metric, and its values as JSON text."""


def rows(connection: Connection, query: str, **values: Any) -> list[dict[str, Any]]:
    """Return the rows of a named query."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(SQL[query], values).fetchall()


def run(connection: Connection, query: str, **values: Any) -> int:
    """Run a named query; return how many rows it touched."""
    return max(connection.execute(SQL[query], values).rowcount, 0)


def dims_text(by: Dims) -> str:
    """Return values as JSON text that PostgreSQL compares as jsonb."""
    return json.dumps(by, ensure_ascii=False)


def take_of(connection: Connection, dataset: str, slot: datetime) -> Taken | None:
    """Return what was taken at a time."""
    found = rows(connection, "take", dataset=dataset, slot=slot)
    return Taken.model_validate(found[0]) if found else None


def save_take(connection: Connection, taken: Taken) -> None:
    """Write down that a dataset was looked at."""
    run(connection, "save_take", **taken.model_dump(exclude={"again", "unusual"}))


def save_points(
    connection: Connection, dataset: str, hows: dict[str, str], points: Sequence[tuple[Key, datetime, float]]
) -> None:
    """Write points, new or changed.

    Args:
        connection: To the warehouse, in a transaction.
        dataset: Slug of the dataset.
        hows: How each metric becomes one number.
        points: Metric and values, time, and number of each.
    """
    made = rows(connection, "save_metrics", dataset=dataset, metrics=list(hows), hows=list(hows.values()))
    ids = {row["metric"]: row["id"] for row in made}
    metrics = [ids[metric] for (metric, _), _, _ in points]
    dims = [text for (_, text), _, _ in points]
    run(connection, "save_series", metrics=metrics, dims=dims)
    slots = [slot for _, slot, _ in points]
    values = [value for _, _, value in points]
    run(connection, "save_points", metrics=metrics, dims=dims, slots=slots, values=values)


def series(connection: Connection, dataset: str, metric: str = "", limit: int = MAX_LISTED) -> list[Series]:
    """Return the series that have points: by metric, the total first, then the greatest."""
    found = rows(connection, "series", dataset=dataset, metric=metric, limit=limit)
    return [Series.model_validate(row) for row in found]


def series_id(connection: Connection, dataset: str, metric: str, by: Dims) -> int:
    """Return the number of a series.

    Raises:
        NotFoundError: There is none; the message says which there are.
    """
    found = rows(connection, "series_id", dataset=dataset, metric=metric, dims=dims_text(by))
    if found:
        return int(found[0]["id"])
    raise NotFoundError(_no_series(connection, dataset, metric, by))


def _no_series(connection: Connection, dataset: str, metric: str, by: Dims) -> str:
    metrics = [row["name"] for row in rows(connection, "metrics", dataset=dataset)]
    if not metrics:
        return f"nothing is remembered of dataset {dataset} yet: dteg snapshot take {dataset}"
    if metric not in metrics:
        return f"dataset {dataset} has no metric {metric!r}; {did_you_mean(metric, metrics) or 'it has ' + ', '.join(metrics)}"
    there = [" ".join(by_texts(each.by)) or "the total" for each in series(connection, dataset, metric, 5)]
    wanted = " ".join(by_texts(by)) or "all rows together"
    return f"{metric} of {dataset} has no series for {wanted}; there are {', '.join(there) or 'none'}"


def points(  # noqa: PLR0917 - the parts of a question
    connection: Connection,
    dataset: str,
    number: int,
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> list[Point]:
    """Return the newest points of a series, oldest first."""
    found = rows(
        connection, "points", dataset=dataset, series=number, since=since or BEGINNING, until=until or END,
        limit=min(limit, MAX_POINTS),
    )  # fmt: skip
    return [Point.model_validate(row) for row in found]


def save_forecast(connection: Connection, number: int, forecast: Forecast) -> None:
    """Keep a forecast."""
    run(
        connection, "save_forecast", series=number, made_at=forecast.made_at, last_slot=forecast.last_slot,
        horizon=forecast.horizon, state=forecast.state.value, forecast=Jsonb(json_of(forecast)),
    )  # fmt: skip


def forecasts(connection: Connection, dataset: str, number: int | None = None) -> list[Forecast]:
    """Return the newest forecast of each series, or of one."""
    found = rows(connection, "forecasts", dataset=dataset, series=number)
    return [
        Forecast.model_validate(
            {"dataset": row["dataset"], "metric": row["metric"], "by": row["by"], **row["forecast"]}
        )
        for row in found
    ]

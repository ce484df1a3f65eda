"""What is too old goes: points between the days, then the days, forecasts, and months of whole rows."""

from datetime import datetime, timedelta

from dteg.core.errors import NotFoundError
from dteg.core.project import Project
from dteg.datasets.service import Datasets
from dteg.datasets.spec import Keep
from dteg.datasets.spec.values import keep_duration
from dteg.snapshots import row_snapshots, store
from dteg.snapshots.models import Pruned
from dteg.snapshots.store import Connection

# Somebody may have removed a dataset by mistake: its history outlives it for a month.
FORGET_AFTER = timedelta(days=30)


def prune(connection: Connection, project: Project, now: datetime) -> Pruned:
    """Delete what the definitions of the datasets do not want to keep any longer.

    Args:
        connection: To the warehouse, in autocommit mode: each dataset is a transaction of its own.
        project: Whose datasets.
        now: The time.
    """
    total = Pruned()
    datasets = Datasets.of(project)
    for row in store.rows(connection, "known_datasets"):
        slug, last = row["dataset"], row["last_slot"]
        try:
            spec = datasets.get(slug).definition
        except NotFoundError:
            if last is None or last < now - FORGET_AFTER:
                forget(connection, slug)
                total = _added(total, Pruned(datasets=[slug]))
            continue
        keep = spec.snapshot.keep if spec.snapshot else Keep()
        zone = spec.snapshot.timezone if spec.snapshot else "UTC"
        with connection.transaction():
            total = _added(total, _prune_one(connection, slug, keep, zone, now))
    return total


def forget(connection: Connection, slug: str) -> None:
    """Delete all that is remembered of a dataset, in one transaction."""
    with connection.transaction():
        store.run(connection, "lock", dataset=slug)
        row_snapshots.forget(connection, slug)
        store.run(connection, "forget_metrics", dataset=slug)
        store.run(connection, "forget_takes", dataset=slug)
        store.run(connection, "forget_forecast_run", dataset=slug)


def _prune_one(connection: Connection, slug: str, keep: Keep, zone: str, now: datetime) -> Pruned:
    store.run(connection, "lock", dataset=slug)
    raw = now - keep_duration(keep.raw)
    daily = min(raw, now - keep_duration(keep.daily))
    points = store.run(connection, "thin_points", dataset=slug, raw_before=raw, daily_before=daily, zone=zone)
    partitions = 0
    for table in store.rows(connection, "row_tables", dataset=slug):
        partitions += row_snapshots.drop_months(connection, table["relation"], raw)
    takes = store.run(connection, "drop_takes", dataset=slug, raw_before=raw)
    forecasts = store.run(connection, "drop_forecasts", dataset=slug, raw_before=raw)
    store.run(connection, "drop_empty_series", dataset=slug)
    return Pruned(points=points, takes=takes, forecasts=forecasts, partitions=partitions)


def _added(one: Pruned, other: Pruned) -> Pruned:
    return Pruned(
        points=one.points + other.points, takes=one.takes + other.takes, forecasts=one.forecasts + other.forecasts,
        partitions=one.partitions + other.partitions, datasets=one.datasets + other.datasets,
    )  # fmt: skip

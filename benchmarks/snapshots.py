"""What a snapshot costs: 100 series of a dataset, 200 times; used by `benchmarks.forecasts`."""

import statistics
import time
from datetime import UTC, datetime, timedelta

import psycopg

from dteg.core.project import Project
from dteg.datasets.service import Datasets
from dteg.datasets.spec import DatasetSpec
from dteg.snapshots.models import Point
from dteg.snapshots.service import Snapshots
from dteg.snapshots.trends import trend_of

SERIES = 100
TAKES = 200
SPEC = {
    "dataset": "load",
    "sources": {"t": {"source": "warehouse", "schema": "public", "table": "load"}},
    "group_by": [{"name": "part", "from": "t.part"}],
    "measures": [{"name": "total", "fn": "sum", "of": "t.amount"}],
    "snapshot": {"schedule": "0 * * * *", "metrics": ["total"], "by": ["part"]},
}


def run() -> dict[str, float]:
    """Return ms of a snapshot (median), of its watch and of a trend, and bytes of one point."""
    project = Project.find()
    with psycopg.connect(project.warehouse_url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE public.load (part int, amount numeric)")
        # 100 metrics in all: 49 parts and the total, each with its sum and its count of rows.
        connection.execute(
            "INSERT INTO public.load SELECT n %% %s, n FROM generate_series(1, 10000) n", [SERIES // 2 - 1]
        )
    datasets = Datasets.of(project)
    datasets.save(DatasetSpec.model_validate(SPEC))
    datasets.refresh("load")
    now = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
    took = []
    for number in range(TAKES):
        at = now + timedelta(hours=number)
        snapshots = Snapshots(project, lambda at=at: at)
        began = time.perf_counter()
        taken = snapshots.take("load")
        took.append(time.perf_counter() - began)
        assert taken.points == SERIES, taken
    return {"take_ms": 1000 * statistics.median(took[20:]), **_watch(project, now), **_size(project)}


def _watch(project: Project, now: datetime) -> dict[str, float]:
    from dteg.snapshots.slots import Clockwork
    from dteg.snapshots.watch import watch

    snapshots = Snapshots(project, lambda: now + timedelta(hours=TAKES))
    taken = snapshots.takes("load", 1)[0]
    clockwork = Clockwork("0 * * * *")
    rounds = []
    for _ in range(9):
        began = time.perf_counter()
        watch(project, taken, clockwork)
        rounds.append(time.perf_counter() - began)
    points = [Point(slot=now + timedelta(hours=n), value=100 + n * 37 % 101) for n in range(400)]
    began = time.perf_counter()
    trend_of("load", "total", {}, points, clockwork)
    return {"watch_ms": 1000 * statistics.median(rounds), "trend_ms": 1000 * (time.perf_counter() - began)}


def _size(project: Project) -> dict[str, float]:
    with psycopg.connect(project.warehouse_url(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT (pg_total_relation_size('_dteg.snapshot_points') + pg_total_relation_size('_dteg.snapshot_takes'))"
            " / count(*)::float8 FROM _dteg.snapshot_points"
        ).fetchone()
    assert row is not None
    return {"bytes": row[0]}

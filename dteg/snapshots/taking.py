"""One snapshot: from the rows of a generation to points, once for each planned time."""

import json
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from dteg.core.clock import Clock
from dteg.core.control import session
from dteg.core.errors import ConfigError, ConflictError, InputError, Problem
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.datasets.models import Dataset, Generation, GenerationStatus
from dteg.datasets.service import Datasets
from dteg.datasets.spec import DatasetSpec
from dteg.snapshots import row_snapshots, store
from dteg.snapshots.metrics import MAX_SERIES, SnapshotPlan, plan_of
from dteg.snapshots.models import Taken, TakeOrder
from dteg.snapshots.slots import Clockwork
from dteg.snapshots.store import Connection, Key
from dteg.snapshots.wording import moment

_READABLE = (GenerationStatus.LIVE, GenerationStatus.RETIRED)


def clockwork_of(spec: DatasetSpec) -> Clockwork | None:
    """Return the schedule of a dataset's snapshots."""
    return Clockwork(spec.snapshot.schedule, spec.snapshot.timezone) if spec.snapshot else None


def take(project: Project, clock: Clock, slug: str, order: TakeOrder) -> tuple[Taken, Clockwork]:
    """Remember the numbers of a dataset, and its rows if wanted; see `Snapshots.take`. Return the schedule, too."""
    datasets = Datasets(project, clock)
    dataset = datasets.get(slug)
    spec = dataset.definition
    clockwork = clockwork_of(spec)
    if clockwork is None:
        plan_of(spec, [])  # raises, and says what to write
        raise AssertionError
    now = clock()
    slot = slot_of(order.slot, clockwork, now)
    end = next(iter(clockwork.after(slot)), None)
    with session(project, store.DOMAIN) as connection, connection.transaction():
        store.run(connection, "lock", dataset=slug)
        before = store.take_of(connection, slug, slot)
        is_late = end is not None and end <= now
        if before is not None and (is_late or not before.stale):
            return before.model_copy(update={"again": True}), clockwork
        generation = _late(datasets, slug, slot, end) if is_late and end is not None else _live(dataset)
        plan = plan_of(spec, generation.columns)
        points = _points(connection, plan, generation, slot)
        if before is not None:
            store.run(connection, "drop_points", dataset=slug, slot=slot)
        store.save_points(connection, slug, {each.name: each.how.value for each in plan.metrics}, points)
        rows, problem = _keep_rows(connection, spec, generation, slot, force=order.force_rows)
        taken = Taken(
            dataset=slug, slot=slot, taken_at=now, data_as_of=generation.data_as_of,
            stale=_is_stale(dataset, generation, slot if is_late else now), generation=generation.n, points=len(points),
            rows=rows, problem=problem,
        )  # fmt: skip
        store.save_take(connection, taken)
    return taken, clockwork


def slot_of(wanted: datetime | None, clockwork: Clockwork, now: datetime) -> datetime:
    """Return the planned time that is meant.

    Raises:
        InputError: It is in the future, or none of the schedule.
    """
    last = clockwork.at(now)
    if wanted is None:
        if last is None:
            raise InputError(f"the schedule {clockwork.cron} had no time yet")
        return last
    if wanted > now:
        raise InputError(f"{wanted.isoformat()} has not come yet")
    if not clockwork.is_planned(wanted):
        near = clockwork.at(wanted)
        hint = f"; the one before is {near.isoformat()}" if near else ""
        raise InputError(f"{wanted.isoformat()} is no time of the schedule {clockwork.cron}{hint}")
    return wanted


def _keep_rows(
    connection: Connection, spec: DatasetSpec, generation: Generation, slot: datetime, *, force: bool
) -> tuple[int | None, str]:
    """Keep whole rows, if they are wanted; return how many, and why not if they are too many."""
    if spec.snapshot is None or not spec.snapshot.rows:
        return None, ""
    if problem := row_snapshots.refusal(generation, force=force):
        return None, problem
    return row_snapshots.keep(connection, generation, slot), ""


def _live(dataset: Dataset) -> Generation:
    if dataset.live is None:
        raise ConflictError(f"dataset {dataset.slug} has no rows yet: dteg dataset refresh {dataset.slug}")
    return dataset.live


def _late(datasets: Datasets, slug: str, slot: datetime, end: datetime) -> Generation:
    """Return the generation that readers saw in a time that is over.

    Raises:
        ConflictError: It is not known, or its rows are gone. Today's rows are never taken for those of yesterday.
    """
    known = datasets.generations(slug, limit=1000)
    published = [each for each in known if each.published_at is not None and each.published_at <= end]
    found = max(published, key=lambda each: each.published_at or each.started_at, default=None)
    # A rollback gives an old generation a new time: then it is not known what was read in between.
    unclear = any(
        each.published_at is not None
        and each.published_at > end
        and each.finished_at is not None
        and each.finished_at <= end
        for each in known
    )
    if found is None or unclear or found.status not in _READABLE:
        raise ConflictError(
            f"the time {moment(slot)} UTC of dataset {slug} is over and its rows are not kept; it cannot be taken from "
            "today's rows"
        )
    return found


def _is_stale(dataset: Dataset, generation: Generation, at: datetime) -> bool:
    if dataset.max_age_s is None or generation.data_as_of is None:
        return False
    return at - generation.data_as_of > timedelta(seconds=dataset.max_age_s)


def _points(
    connection: Connection, plan: SnapshotPlan, generation: Generation, slot: datetime
) -> list[tuple[Key, datetime, float]]:
    found = connection.execute(plan.query(TableName.parse(generation.relation))).fetchall()
    if len(found) > MAX_SERIES + 1:
        raise ConfigError(
            [
                Problem(
                    f"by {', '.join(plan.by)} there are more than {MAX_SERIES:,} series; choose fewer columns, or keep "
                    "whole rows (`rows: true`)",
                    path="snapshot.by",
                )
            ]
        )
    return [point for row in found for point in _points_of(plan, row, slot)]


def _points_of(plan: SnapshotPlan, row: Sequence[Any], slot: datetime) -> list[tuple[Key, datetime, float]]:
    width = len(plan.by)
    is_total = bool(row[width])
    dims = "{}" if is_total else json.dumps(dict(zip(plan.by, row[:width], strict=True)), ensure_ascii=False)
    return [
        ((metric.name, dims), slot, float(value))
        for metric, value in zip(plan.metrics, row[width + 1 :], strict=True)
        # No number is no point: an average of nothing, or NaN.
        if value is not None and math.isfinite(value) and (metric.total or not is_total)
    ]

"""Snapshots of a dataset as partitions of time, and the forecasts that are made of them."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from dteg.core.errors import EnvironmentProblemError
from dteg.core.project import Project
from orchestration.lib.building import assets_job, job_schedule
from orchestration.lib.dataset_runs import (
    DATASET_TAG,
    RETRY,
    SLOT_TAG,
    taken_by_another,
)
from orchestration.lib.failures import dagster_failures, tell
from orchestration.lib.reads import dataset_key

if TYPE_CHECKING:
    from dteg.datasets.spec import DatasetSpec
    from dteg.snapshots.models import Forecast, Taken

FOLDER = "snap"
FORECASTS = "forecast"
SNAPSHOT_GROUP = "snapshots"
FORECAST_GROUP = "forecasts"
FORECAST_JOB = "dataset_forecasts"
# After the snapshots of the day before; a forecast of each hour would say the same twenty-four times.
FORECAST_SCHEDULE = "30 2 * * *"
KEY_FORMAT = "%Y-%m-%d-%H:%M"
QUALITY = "better_than_naive"
COVERAGE = "interval_covers"
MOST_RATIO = 1.0
LEAST_COVERAGE = 0.6


def snapshot_key(slug: str) -> dg.AssetKey:
    """Return the key of the snapshots of a dataset."""
    return dg.AssetKey([FOLDER, slug])


def forecast_key(slug: str) -> dg.AssetKey:
    """Return the key of the forecasts of a dataset."""
    return dg.AssetKey([FORECASTS, slug])


def snapshot_definitions(spec: "DatasetSpec", project: Project) -> dg.Definitions:
    """Build the snapshots and forecasts of a dataset that asks for snapshots."""
    assert spec.snapshot is not None
    slots = slots_of(spec, project)
    asset = _snapshot_asset(spec.dataset, slots, project)
    job = assets_job(
        f"snapshot__{spec.dataset}",
        [snapshot_key(spec.dataset)],
        f"Remembers the dataset {spec.dataset} as it is now.",
        tags={DATASET_TAG: spec.dataset},
    )
    schedule = job_schedule(
        job,
        spec.snapshot.schedule,
        spec.snapshot.timezone,
        f"Remembers the dataset {spec.dataset}.",
        request=_snapshot_request(spec.dataset, spec.snapshot.timezone),
    )
    return dg.Definitions(
        assets=[asset, _forecast_asset(spec.dataset, project)], jobs=[job], schedules=[schedule]
    )


def slots_of(spec: "DatasetSpec", project: Project) -> dg.TimeWindowPartitionsDefinition:
    """Return the partitions of the snapshots of a dataset: one for each time of their schedule.

    The one of now is there from its beginning on, as it is then that the snapshot is taken.
    """
    assert spec.snapshot is not None
    return dg.TimeWindowPartitionsDefinition(
        start=first_seen(project, spec.dataset),
        fmt=KEY_FORMAT,
        cron_schedule=spec.snapshot.schedule,
        timezone=spec.snapshot.timezone,
        end_offset=1,
    )


def first_seen(project: Project, slug: str) -> datetime:
    """Return the day from which on snapshots of a dataset are expected: that on which a location first showed it.

    Kept in the state folder, as each process has to come to the same partitions.
    """
    today = datetime.now(UTC).date()
    try:
        path = project.state_dir / "snapshots" / slug
        path.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            file.write(today.isoformat())
        # A process that is just writing it has the same day, but for midnight.
        return datetime.fromisoformat(path.read_text(encoding="ascii") or today.isoformat())
    except (OSError, EnvironmentProblemError):  # a folder that may only be read, as in a container
        return datetime(today.year, 1, 1)  # noqa: DTZ001 - a day, whatever the zone of the partitions


def _snapshot_request(slug: str, timezone: str) -> Callable[..., dg.RunRequest]:
    def request(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        import zoneinfo

        at = context.scheduled_execution_time
        key = at.astimezone(zoneinfo.ZoneInfo(timezone)).strftime(KEY_FORMAT)
        slot = at.astimezone(UTC).isoformat()
        return dg.RunRequest(
            run_key=f"{slug}@{slot}", partition_key=key, tags={SLOT_TAG: slot, DATASET_TAG: slug}
        )

    return request


def _snapshot_asset(
    slug: str, slots: dg.TimeWindowPartitionsDefinition, project: Project
) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        snapshot_key(slug),
        group_name=SNAPSHOT_GROUP,
        kinds={"snapshot"},
        description=f"The dataset {slug} as it was, one partition for each time of its schedule.\n\n"
        "A snapshot is of the rows of its time. One that was missed cannot be taken later: a run for a partition "
        "that is over fails, unless rows of that time were kept.",
        deps=[dataset_key(slug)],
        skippable=True,
        metadata={"dataset": slug},
    )

    @dg.multi_asset(name=f"snapshot__{slug}__take", specs=[spec], partitions_def=slots)
    def take(context: dg.AssetExecutionContext) -> Iterator[Any]:
        slot = context.partition_time_window.start.astimezone(UTC)
        yield from snapshot_steps(context, project, slug, slot, spec.key)

    return take


def snapshot_steps(
    context: dg.AssetExecutionContext, project: Project, slug: str, slot: datetime | None, key: dg.AssetKey
) -> Iterator[Any]:
    """Remember a dataset at a time of its schedule, unless another program did; without a time as it is now.

    What is over is never made up from today's rows: `Snapshots.take` refuses it, or finds rows that were kept.
    """
    from dteg.datasets.service import Datasets
    from dteg.snapshots.service import Snapshots

    with dagster_failures(context, RETRY, tried_before=False):
        datasets = Datasets.of(project)
        datasets.get(slug)  # says so if there is none yet: a time of it cannot be taken then either
        if taken_by_another(context, datasets, slug, "snapshot"):
            return
        taken = Snapshots.of(project).take(slug, slot)
    tell(context, f"{slug} at {taken.slot:%Y-%m-%d %H:%M}: {taken.points:,} points")
    yield dg.MaterializeResult(asset_key=key, metadata=snapshot_metadata(taken))


def snapshot_metadata(taken: "Taken") -> dict[str, Any]:
    """Return what a snapshot tells of itself."""
    metadata: dict[str, Any] = {
        "points": taken.points,
        "slot": dg.MetadataValue.timestamp(taken.slot),
        "taken_at": dg.MetadataValue.timestamp(taken.taken_at),
        "stale": taken.stale,
        "again": taken.again,
    }
    told = {
        "rows_kept": taken.rows,
        "generation": taken.generation,
        "data_as_of": dg.MetadataValue.timestamp(taken.data_as_of) if taken.data_as_of else None,
        "problem": taken.problem or None,
    }
    return metadata | {name: value for name, value in told.items() if value is not None}


def _forecast_asset(slug: str, project: Project) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        forecast_key(slug),
        group_name=FORECAST_GROUP,
        kinds={"forecast"},
        description=f"Where the metrics of the dataset {slug} are heading, with the range they will be in.",
        deps=[snapshot_key(slug)],
        metadata={"dataset": slug},
    )

    @dg.multi_asset(
        name=f"forecast__{slug}", specs=[spec], check_specs=forecast_checks(spec.key), can_subset=True
    )
    def forecast(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from forecast_steps(context, project, slug, spec.key)

    return forecast


def forecast_checks(
    key: dg.AssetKey, partitions: dg.PartitionsDefinition | None = None
) -> list[dg.AssetCheckSpec]:
    """Return the checks of forecasts; none of them stops anything."""
    return [
        dg.AssetCheckSpec(
            QUALITY,
            asset=key,
            partitions_def=partitions,
            description="On the past, each forecast errs less than one that repeats the last season (MASE ratio).",
        ),
        dg.AssetCheckSpec(
            COVERAGE,
            asset=key,
            partitions_def=partitions,
            description=f"On the past, at least {LEAST_COVERAGE:.0%} of the values were in the range of 80 %.",
        ),
    ]


def forecast_steps(
    context: dg.AssetExecutionContext, project: Project, slug: str, key: dg.AssetKey
) -> Iterator[Any]:
    """Forecast all metrics of a dataset, and say how far the forecasts can be trusted."""
    from dteg.snapshots.service import Snapshots

    with dagster_failures(context, RETRY, tried_before=False):
        forecasts = Snapshots.of(project).forecast_all(slug)
    yield dg.MaterializeResult(asset_key=key, metadata=forecast_metadata(forecasts))
    yield from forecast_evaluations(key, forecasts)


def forecast_definitions(slugs: Sequence[str]) -> dg.Definitions:
    """Build the daily job of the forecasts of all datasets with snapshots; nothing if there are none."""
    if not slugs:
        return dg.Definitions()
    about = "Forecasts the metrics of all datasets with snapshots."
    job = assets_job(FORECAST_JOB, [forecast_key(slug) for slug in slugs], about)
    return dg.Definitions(jobs=[job], schedules=[job_schedule(job, FORECAST_SCHEDULE, "UTC", about)])


def forecast_metadata(forecasts: "Sequence[Forecast]") -> dict[str, Any]:
    """Return what forecasts tell of themselves: how many, and each with its model."""
    made = [each for each in forecasts if each.state == "ok"]
    records = [
        dg.TableRecord(
            {
                "metric": each.metric,
                "by": ", ".join(f"{name}={value}" for name, value in each.by.items()) or "-",
                "state": str(each.state),
                "model": each.model or "-",
                "MASE": _shown(each.mase),
                "of naive": _shown(_ratio(each)),
                "in 80 %": _shown(each.coverage_80),
            }
        )
        for each in forecasts
    ]
    metadata: dict[str, Any] = {"series": len(forecasts), "forecast": len(made)}
    if records:
        metadata["forecasts"] = dg.MetadataValue.table(records)
    return metadata


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _ratio(forecast: "Forecast") -> float | None:
    if forecast.mase is None or not forecast.naive_mase:
        return None
    return forecast.mase / forecast.naive_mase


def forecast_evaluations(key: dg.AssetKey, forecasts: "Sequence[Forecast]") -> Iterator[dg.AssetCheckResult]:
    """Return the two checks; what has not enough data yet is in neither."""
    ratios = {_label(each): ratio for each in forecasts if (ratio := _ratio(each)) is not None}
    covered = {_label(each): each.coverage_80 for each in forecasts if each.coverage_80 is not None}
    worse = {name: ratio for name, ratio in ratios.items() if ratio > MOST_RATIO}
    narrow = {name: share for name, share in covered.items() if share < LEAST_COVERAGE}
    yield _warning(key, QUALITY, worse, len(ratios), "times the error of repeating the last season")
    yield _warning(key, COVERAGE, narrow, len(covered), "of the values in the range of 80 %")


def _warning(
    key: dg.AssetKey, name: str, bad: dict[str, float], total: int, unit: str
) -> dg.AssetCheckResult:
    worst = "; ".join(f"{label}: {value:.2f} {unit}" for label, value in list(bad.items())[:5])
    message = (
        f"{len(bad)} of {total} forecasts: {worst}" if bad else f"{total} forecasts are as they should be"
    )
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=name,
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        description=message,
        metadata={"message": message},
    )


def _label(forecast: "Forecast") -> str:
    by = ", ".join(f"{name}={value}" for name, value in forecast.by.items())
    return f"{forecast.metric} ({by})" if by else str(forecast.metric)

"""Datasets that people made in the studio: a partition each of one asset, so that a new one needs no reload."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from dteg.core.errors import DtegError
from dteg.core.project import Project
from orchestration.lib.dataset_runs import (
    DATASET_TAG,
    RETRY,
    SLOT_TAG,
    WAIT_S,
    dataset_key,
    generation_metadata,
    refuse_failed,
    taken_by_another,
)
from orchestration.lib.failures import dagster_failures, tell
from orchestration.lib.snapshots import (
    FORECAST_GROUP,
    FORECASTS,
    SNAPSHOT_GROUP,
    forecast_metadata,
    snapshot_steps,
)

if TYPE_CHECKING:
    from dteg.datasets.models import Dataset, Due

PARTITIONS = "ds_user"
SENSOR = "user_datasets"
DATASETS = dg.AssetKey("ds_user")
SNAPSHOTS = dg.AssetKey("snap_user")
PREDICTIONS = dg.AssetKey(f"{FORECASTS}_user")
JOBS = {DATASETS: "user_datasets", SNAPSHOTS: "user_snapshots", PREDICTIONS: "user_forecasts"}
# Forecasts are made once a day, from this hour on (UTC): see FORECAST_SCHEDULE.
FORECAST_HOUR = 3


def user_definitions(project: Project, every_s: int) -> dg.Definitions:
    """Build the assets of what people made, their jobs, and the sensor that keeps them.

    Args:
        project: Whose datasets.
        every_s: Seconds between two looks.
    """
    slugs = dg.DynamicPartitionsDefinition(name=PARTITIONS)
    assets = [_datasets(slugs, project), _snapshots(slugs, project), _forecasts(slugs, project)]
    jobs = [
        dg.define_asset_job(
            name,
            selection=dg.AssetSelection.assets(key),
            executor_def=dg.in_process_executor,
        )
        for key, name in JOBS.items()
    ]
    return dg.Definitions(assets=assets, jobs=jobs, sensors=[_sensor(project, jobs, every_s)])


def _datasets(slugs: dg.DynamicPartitionsDefinition, project: Project) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        DATASETS,
        group_name="datasets",
        kinds={"dataset", "postgres"},
        description="Datasets that people made in the studio, one partition each. What they read is said there.",
        skippable=True,
    )

    @dg.multi_asset(name="user_datasets__refresh", specs=[spec], partitions_def=slugs)
    def refresh(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from dteg.datasets.service import Datasets

        slug = context.partition_key
        with dagster_failures(context, RETRY, tried_before=False):
            datasets = Datasets.of(project)
            if taken_by_another(context, datasets, slug, "refresh"):
                return
            built = datasets.build(slug, context.run.run_id, wait_s=WAIT_S)
            results = datasets.check(slug, built.n)
            for result in results:
                context.log.info(
                    "%s: %s", result.name, result.message or ("ok" if result.passed else "failed")
                )
            refuse_failed(slug, results)
            live = datasets.publish(slug, built.n)
            sql = datasets.sql(slug)
        tell(context, f"{slug}: generation {live.n}, {live.rows or 0:,} rows in {live.seconds or 0:.1f} s")
        yield dg.MaterializeResult(asset_key=DATASETS, metadata=generation_metadata(live, sql))

    return refresh


def _snapshots(slugs: dg.DynamicPartitionsDefinition, project: Project) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        SNAPSHOTS,
        group_name=SNAPSHOT_GROUP,
        kinds={"snapshot"},
        description="Snapshots of datasets that people made, one partition for each dataset; the times are in the studio.",
        deps=[DATASETS],
        skippable=True,
    )

    @dg.multi_asset(name="user_snapshots__take", specs=[spec], partitions_def=slugs)
    def take(context: dg.AssetExecutionContext) -> Iterator[Any]:
        text = context.run.tags.get(SLOT_TAG)
        slot = datetime.fromisoformat(text).astimezone(UTC) if text else None
        yield from snapshot_steps(context, project, context.partition_key, slot, SNAPSHOTS)

    return take


def _forecasts(slugs: dg.DynamicPartitionsDefinition, project: Project) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        PREDICTIONS,
        group_name=FORECAST_GROUP,
        kinds={"forecast"},
        description="Forecasts of datasets that people made, one partition for each dataset.",
        deps=[SNAPSHOTS],
    )

    @dg.multi_asset(name="user_forecasts__make", specs=[spec], partitions_def=slugs)
    def forecast(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from dteg.snapshots.service import Snapshots

        with dagster_failures(context, RETRY, tried_before=False):
            forecasts = Snapshots.of(project).forecast_all(context.partition_key)
        yield dg.MaterializeResult(asset_key=PREDICTIONS, metadata=forecast_metadata(forecasts))

    return forecast


def _sensor(project: Project, jobs: list[Any], every_s: int) -> dg.SensorDefinition:
    @dg.sensor(
        name=SENSOR,
        jobs=jobs,
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Keeps a partition for each dataset that people made, and runs what is due.",
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return due_runs(context, project, datetime.now(UTC))

    return look


def due_runs(
    context: dg.SensorEvaluationContext, project: Project, now: datetime
) -> dg.SensorResult | dg.SkipReason:
    """Bring partitions and datasets together, and ask for the runs whose time has come.

    A run has the time that it is for as its key, so Dagster asks for it once. Whether it works is decided by the
    claim that it makes: the studio may have been faster.
    """
    from dteg.datasets.service import Datasets

    try:
        service = Datasets.of(project)
        made = {each.slug: each for each in service.datasets() if each.origin != "file"}
        due = [each for each in service.due(now) if each.slug in made] if made else []
    except DtegError as error:
        return dg.SkipReason(f"the datasets cannot be read: {error}")
    there = set(context.instance.get_dynamic_partitions(PARTITIONS))
    partitions = dg.DynamicPartitionsDefinition(name=PARTITIONS)
    changes: list[Any] = []
    if new := sorted(set(made) - there):
        changes.append(partitions.build_add_request(new))
    if gone := sorted(there - set(made)):
        changes.append(partitions.build_delete_request(gone))
    runs = [_run(each) for each in due]
    day = now.date().isoformat()
    forecasts = now.hour >= FORECAST_HOUR and context.cursor != day
    if forecasts:
        runs += _forecast_runs(made, day)
    if not changes and not runs and not forecasts:
        return dg.SkipReason(f"nothing is due of {len(made)} datasets that people made")
    return dg.SensorResult(
        run_requests=runs, dynamic_partitions_requests=changes, cursor=day if forecasts else context.cursor
    )


def _run(due: "Due") -> dg.RunRequest:
    slot = due.slot.astimezone(UTC).isoformat()
    return dg.RunRequest(
        run_key=f"{due.what}:{due.slug}@{slot}",
        job_name=JOBS[DATASETS if due.what == "refresh" else SNAPSHOTS],
        partition_key=due.slug,
        tags={SLOT_TAG: slot, DATASET_TAG: due.slug},
    )


def _forecast_runs(made: "dict[str, Dataset]", day: str) -> list[dg.RunRequest]:
    """Return the forecasts of a day."""
    return [
        dg.RunRequest(
            run_key=f"forecast:{slug}@{day}",
            job_name=JOBS[PREDICTIONS],
            partition_key=slug,
            tags={DATASET_TAG: slug},
        )
        for slug, dataset in sorted(made.items())
        if dataset.spec.get("snapshot") and dataset.state != "draft"
    ]


def refresh_dataset(context: dg.OpExecutionContext, slug: str, project: Project) -> str:
    """Refresh a dataset for a cron job, whoever made it, and write that into its asset's history.

    Returns:
        A sentence for people.

    Raises:
        DtegError: It failed; the rows of before are still served.
    """
    from dteg.datasets.files import dataset_files
    from dteg.datasets.service import Datasets

    datasets = Datasets.of(project)
    for path in dataset_files(project):
        if path.stem == slug:  # as its file is now, and also before anything else has read that
            datasets.apply(path, who="dagster")
    live = datasets.refresh(slug, context.run_id, wait_s=WAIT_S)
    from_file = datasets.get(slug).origin == "file"
    if from_file or context.instance.has_dynamic_partition(PARTITIONS, slug):
        context.log_event(
            dg.AssetMaterialization(
                asset_key=dataset_key(slug) if from_file else DATASETS,
                partition=None if from_file else slug,
                metadata=generation_metadata(live, datasets.sql(slug)),
            )
        )
    return f"{slug}: generation {live.n}, {live.rows or 0:,} rows in {live.seconds or 0:.1f} s"

"""Datasets that people made in the studio: a partition each of one asset, so that a new one needs no reload."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from dteg.core.errors import ConfigError, DtegError, SchemaDriftError
from dteg.core.project import Project
from orchestration.lib import user_checks
from orchestration.lib.building import assets_job, running_sensor
from orchestration.lib.dataset_runs import (
    DATASET_TAG,
    RETRY,
    SLOT_TAG,
    WAIT_S,
    fits,
    generation_metadata,
    refuse_failed,
    sentence,
    slot_of,
    taken_by_another,
)
from orchestration.lib.failures import dagster_failures, tell
from orchestration.lib.reads import Reads, dataset_key
from orchestration.lib.snapshots import (
    FORECAST_GROUP,
    FORECASTS,
    SNAPSHOT_GROUP,
    forecast_checks,
    forecast_steps,
    snapshot_steps,
)
from orchestration.lib.sources import USER_DATASETS
from orchestration.lib.user_checks import DATASETS

if TYPE_CHECKING:
    from dteg.datasets.models import Dataset, Due, Generation
    from dteg.datasets.service import Datasets

PARTITIONS = USER_DATASETS
SENSOR = "user_datasets"
SNAPSHOTS = dg.AssetKey("snap_user")
PREDICTIONS = dg.AssetKey(f"{FORECASTS}_user")
JOBS = {DATASETS: "user_datasets", SNAPSHOTS: "user_snapshots", PREDICTIONS: "user_forecasts"}
# Forecasts are made once a day, from this hour on (UTC): see FORECAST_SCHEDULE.
FORECAST_HOUR = 3


def user_definitions(project: Project, every_s: int, reads: Reads | None = None) -> dg.Definitions:
    """Build the assets of what people made, their jobs, and the sensor that keeps them.

    Args:
        project: Whose datasets.
        every_s: Seconds between two looks.
        reads: What they read together, as far as that is known.
    """
    slugs = dg.DynamicPartitionsDefinition(name=PARTITIONS)
    assets = [
        _datasets(slugs, project, reads.keys if reads else []),
        _snapshots(slugs, project),
        _forecasts(slugs, project),
    ]
    jobs = [assets_job(name, [key]) for key, name in JOBS.items()]
    sensor = running_sensor(
        SENSOR,
        every_s,
        lambda context: due_runs(context, project, datetime.now(UTC)),
        "Keeps a partition for each dataset that people made, and runs what is due.",
        jobs,
    )
    return dg.Definitions(assets=assets, jobs=jobs, sensors=[sensor])


def _datasets(
    slugs: dg.DynamicPartitionsDefinition, project: Project, reads: list[dg.AssetKey]
) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        DATASETS,
        group_name="datasets",
        kinds={"dataset", "postgres"},
        description="Datasets that people made in the studio, one partition each. Each materialization says what it read.",
        deps=reads,
        skippable=True,
    )

    # As a subset, because only then the results of checks may be left out.
    @dg.multi_asset(
        name="user_datasets__refresh",
        specs=[spec],
        check_specs=user_checks.check_specs(slugs),
        partitions_def=slugs,
        can_subset=True,
    )
    def refresh(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with dagster_failures(context, RETRY, tried_before=False):
            yield from _refresh_steps(context, project, context.partition_key)

    return refresh


def _refresh_steps(context: dg.AssetExecutionContext, project: Project, slug: str) -> Iterator[Any]:
    """Build, check and publish; yield what was found of the definition and the rows, then the materialization."""
    from dteg.datasets.service import Datasets

    datasets = Datasets.of(project)
    built: Generation | None = None
    try:
        if (
            DATASETS not in context.selected_asset_keys
        ):  # the checks alone: they need rows that nobody reads yet
            datasets.sql(slug)
        elif taken_by_another(context, datasets, slug, "refresh"):
            return
        else:
            built = datasets.build(slug, context.run.run_id, wait_s=WAIT_S)
    except (ConfigError, SchemaDriftError) as error:
        yield fits(DATASETS, str(error))
        if DATASETS in context.selected_asset_keys:
            raise
        return
    yield fits(DATASETS)
    if built is None:
        return
    results = datasets.check(slug, built.n)
    yield from user_checks.results(results)
    refuse_failed(slug, results)
    live = datasets.publish(slug, built.n)
    tell(context, sentence(live))
    yield dg.MaterializeResult(asset_key=DATASETS, metadata=_metadata(datasets, live))


def _metadata(datasets: "Datasets", live: "Generation") -> dict[str, Any]:
    """Return what a generation tells of itself, and of what it was made of."""
    every = {each.slug: each for each in datasets.datasets()}
    made = [slug for slug, each in every.items() if each.origin != "file"]
    sql = datasets.sql(live.dataset)
    return {**generation_metadata(live, sql), **user_checks.upstream(every[live.dataset], made)}


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
        slot = slot_of(context)
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

    @dg.multi_asset(
        name="user_forecasts__make",
        specs=[spec],
        check_specs=forecast_checks(PREDICTIONS, slugs),
        partitions_def=slugs,
    )
    def forecast(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from forecast_steps(context, project, context.partition_key, PREDICTIONS)

    return forecast


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
    user_checks.remember(project, made)
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
    if datasets.get(slug).origin == "file":
        metadata = generation_metadata(live, datasets.sql(slug))
        context.log_event(dg.AssetMaterialization(dataset_key(slug), metadata=metadata))
    elif context.instance.has_dynamic_partition(PARTITIONS, slug):
        for evaluation in user_checks.evaluations(slug, live.checks):
            context.instance.report_runless_asset_event(evaluation)
        context.log_event(
            dg.AssetMaterialization(DATASETS, partition=slug, metadata=_metadata(datasets, live))
        )
    return sentence(live)

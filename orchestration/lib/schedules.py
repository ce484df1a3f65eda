"""The job of a pipeline and when it runs."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from dteg.pipelines.plan import Pipeline

PIPELINE_TAG = "dteg/pipeline"
WATCHED = "dteg/watched_tables"
"""Metadata of a job: the tables whose changes run it."""


def pipeline_job(pipeline: Pipeline, assets: list[dg.AssetsDefinition]) -> UnresolvedAssetJobDefinition:
    """Return the job that loads everything the pipeline makes, in one process.

    A process for each step would cost seconds of imports for work of milliseconds.
    """
    keys = [key for asset in assets for key in asset.keys]
    watched = pipeline.spec.watch.schema_changes if pipeline.spec.watch and pipeline.spec.enabled else []
    return dg.define_asset_job(
        pipeline.name,
        selection=dg.AssetSelection.assets(*keys),
        description=pipeline.spec.description or None,
        tags={PIPELINE_TAG: pipeline.name},
        metadata={WATCHED: " ".join(watched)} if watched else None,
        executor_def=dg.in_process_executor,
    )


def pipeline_schedule(pipeline: Pipeline, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition | None:
    """Return the pipeline's schedule, if it has one; it runs from the start where the pipeline is enabled."""
    if not pipeline.spec.schedule:
        return None
    return dg.ScheduleDefinition(
        name=f"{pipeline.name}_schedule",
        job=job,
        cron_schedule=pipeline.spec.schedule,
        execution_timezone=pipeline.spec.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if pipeline.spec.enabled
        else dg.DefaultScheduleStatus.STOPPED,
        description=f"Runs {pipeline.file}.",
    )

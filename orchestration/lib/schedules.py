"""The job of a pipeline and when it runs."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from dteg.pipelines.plan import Pipeline
from orchestration.lib.building import assets_job, job_schedule

PIPELINE_TAG = "dteg/pipeline"
WATCHED = "dteg/watched_tables"
"""Metadata of a job: the tables whose changes run it."""


def pipeline_job(pipeline: Pipeline, assets: list[dg.AssetsDefinition]) -> UnresolvedAssetJobDefinition:
    """Return the job that loads everything the pipeline makes."""
    keys = [key for asset in assets for key in asset.keys]
    watched = pipeline.spec.watch.schema_changes if pipeline.spec.watch and pipeline.spec.enabled else []
    return assets_job(
        pipeline.name,
        keys,
        pipeline.spec.description or None,
        tags={PIPELINE_TAG: pipeline.name},
        metadata={WATCHED: " ".join(watched)} if watched else None,
    )


def pipeline_schedule(pipeline: Pipeline, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition | None:
    """Return the pipeline's schedule, if it has one; it runs from the start where the pipeline is enabled."""
    if not pipeline.spec.schedule:
        return None
    spec = pipeline.spec
    return job_schedule(job, spec.schedule, spec.timezone, f"Runs {pipeline.file}.", enabled=spec.enabled)

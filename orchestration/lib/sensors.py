"""Runs a pipeline when its source has changed."""

import hashlib
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from dteg.connectors.base import Context, Extractor
from dteg.core.errors import ConfigError, DtegError
from dteg.core.project import Project
from dteg.pipelines.plan import Flow, Pipeline, load_pipeline
from orchestration.lib.building import running_sensor

FINGERPRINT_TAG = "dteg/fingerprint"


def change_sensor(
    pipeline: Pipeline, path: Path, job: UnresolvedAssetJobDefinition
) -> dg.SensorDefinition | None:
    """Return the sensor of a pipeline with `watch:`; it runs from the start where the pipeline is enabled."""
    watch = pipeline.spec.watch
    if watch is None or not watch.looks_at_source or not pipeline.flows:
        return None
    return running_sensor(
        f"{pipeline.name}_watch",
        watch.every_s,
        lambda context: changed(path, pipeline.project, context.cursor),
        f"Looks at the source of {pipeline.file} every {watch.every_s} s and runs it after a change.",
        [job],
        enabled=pipeline.spec.enabled,
    )


def changed(path: Path, project: Project, last_seen: str | None) -> dg.SensorResult | dg.SkipReason:
    """Compare the source with what was last seen.

    The run has no run key: Dagster never runs a key twice, so a source that returns to an earlier
    state would go unnoticed. The cursor alone keeps a change from running twice.

    Returns:
        A run and the new cursor after a change, or the reason why nothing runs. A source that cannot be
        looked at is such a reason: the next look may succeed, and the cursor stays where it was.
    """
    try:
        seen = fingerprint(load_pipeline(path, project))
    except DtegError as error:
        return dg.SkipReason(f"cannot look at the source: {error}")
    if seen == last_seen:
        return dg.SkipReason("the source has not changed")
    return dg.SensorResult([dg.RunRequest(tags={FINGERPRINT_TAG: seen[:250]})], cursor=seen)


def fingerprint(pipeline: Pipeline) -> str:
    """Return a text that differs when a source of the pipeline has changed.

    Raises:
        DtegError: A source cannot be reached, or there is no way to see whether it has changed.
    """
    seen = [_flow_fingerprint(pipeline, flow) for flow in pipeline.flows]
    return seen[0] if len(seen) == 1 else hashlib.sha256("\n".join(seen).encode()).hexdigest()


def _flow_fingerprint(pipeline: Pipeline, flow: Flow) -> str:
    with flow.extractor.create(Context(pipeline.project)) as extractor:
        sensor = extractor.change_sensor() if isinstance(extractor, Extractor) else None
        if sensor is None:
            name = flow.extractor.component.manifest.name
            raise ConfigError(
                f"{pipeline.file}: extractor {name!r} cannot tell whether its source changed; use schedule:"
            )
        return sensor.fingerprint()

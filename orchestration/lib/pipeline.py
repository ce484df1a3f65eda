"""The component type of one pipeline."""

from pathlib import Path
from typing import Annotated, Any

import dagster as dg
from pydantic import Field, model_validator

from dteg.core.project import Project
from dteg.pipelines.plan import Pipeline, load_pipeline
from orchestration.lib.assets import pipeline_assets
from orchestration.lib.building import ProjectComponent
from orchestration.lib.schedules import pipeline_job, pipeline_schedule
from orchestration.lib.sensors import change_sensor


class PipelineComponent(ProjectComponent):
    """One data pipeline: extract, process, check and load, from a pipeline file or written here.

    Makes an asset for each table, an asset check for each quality rule, a job, and a schedule and a
    change sensor where the pipeline asks for them. For all files of a folder see `PipelinesFolder`.

    Example:
        ```yaml
        type: orchestration.lib.PipelineComponent
        attributes:
          path: pipelines/flights.yaml
        ```
    """

    about = "One data pipeline: extract, process, check and load, from a pipeline file or written in place."
    tags = ("elt",)
    makes = ("asset", "asset_check", "job", "schedule", "sensor")

    path: str | None = Field(
        None,
        description="Pipeline file, relative to the project folder.",
        examples=["pipelines/flights.yaml"],
    )
    pipeline: Annotated[
        dict[str, Any] | None,
        # Its templates, such as {{ params.day }}, are for each run to fill in, not for this file.
        dg.Resolver.passthrough(
            description="Or: the pipeline itself, as it stands under `pipeline:` in a file.",
            examples=[
                {
                    "name": "airlines",
                    "extract": {"type": "files", "config": {"path": "data/airlines.csv"}},
                    "load": {"type": "postgres", "config": {"table": "raw.airlines"}},
                }
            ],
        ),
    ] = None

    @model_validator(mode="after")
    def _one_source(self) -> "PipelineComponent":
        if (self.path is None) == (self.pipeline is None):
            raise ValueError("write exactly one of path and pipeline")
        return self

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions of the pipeline."""
        project = Project.find()
        path = (
            project.root / self.path if self.path else inline_file(self.pipeline or {}, project, context.path)
        )
        return pipeline_definitions(load_pipeline(path, project), path)


def pipeline_definitions(pipeline: Pipeline, path: Path) -> dg.Definitions:
    """Build everything that a pipeline is in Dagster; a pipeline of dbt steps only is nothing here."""
    assets = pipeline_assets(pipeline, path)
    if not assets:
        return dg.Definitions()
    job = pipeline_job(pipeline, assets)
    schedule = pipeline_schedule(pipeline, job)
    sensor = change_sensor(pipeline, path, job)
    return dg.Definitions(
        assets=assets,
        jobs=[job],
        schedules=[schedule] if schedule else [],
        sensors=[sensor] if sensor else [],
    )


def inline_file(pipeline: dict[str, Any], project: Project, place: Path) -> Path:
    """Write a pipeline that stands in a defs.yaml to a file of its own, which runs can read again."""
    import yaml

    folder = project.state_dir / "inline_pipelines"
    folder.mkdir(exist_ok=True)
    path = folder / f"{pipeline.get('name') or place.name}.yaml"
    path.write_text(yaml.safe_dump({"pipeline": pipeline}, sort_keys=False), encoding="utf-8")
    return path

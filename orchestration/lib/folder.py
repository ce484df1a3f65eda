"""The component type of a folder of pipelines: each file loads by itself, so a broken one cannot hide the others."""

import graphlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
from pydantic import Field

from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from dteg.core.yaml import yaml_files
from dteg.pipelines.plan import Pipeline, load_pipeline, pipeline_files
from orchestration.lib.assets import flow_dependencies
from orchestration.lib.broken import file_definitions
from orchestration.lib.building import ProjectComponent
from orchestration.lib.checks import asset_key
from orchestration.lib.pipeline import pipeline_definitions


class PipelinesFolder(ProjectComponent):
    """Every pipeline file of a folder, each with its assets, checks, job, schedule and change sensor.

    A file that is not valid does not keep the others from loading: it becomes the asset
    `dteg_config/<file>` in the group `configuration`, whose check `valid_config` says what is wrong.

    Example:
        ```yaml
        type: orchestration.lib.PipelinesFolder
        attributes:
          path: pipelines
        ```
    """

    about = "Every pipeline file of a folder; one that is not valid becomes a failing check."
    tags = ("elt",)
    makes = ("asset", "asset_check", "job", "schedule", "sensor")

    path: str | None = Field(
        None,
        description="Folder of pipeline files, relative to the project folder; default: its pipelines/ folder.",
        examples=["pipelines"],
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions of all files."""
        project = Project.find()
        files = _files_in(project.root / self.path) if self.path else pipeline_files(project)
        return folder_definitions(files, project)


def folder_definitions(files: Sequence[Path], project: Project) -> dg.Definitions:
    """Build the definitions of pipeline files, the broken ones included."""
    seen = _Seen()

    def build(path: Path) -> dg.Definitions:
        pipeline = load_pipeline(path, project)
        part = pipeline_definitions(pipeline, path)
        seen.add(pipeline)
        return part

    return dg.Definitions.merge(*file_definitions(files, project, build))


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}")
    return yaml_files(folder)


@dataclass
class _Seen:
    """What the files so far make together, to refuse a file that does not go with them."""

    names: dict[str, str] = field(default_factory=dict)
    tables: dict[dg.AssetKey, str] = field(default_factory=dict)
    edges: dict[dg.AssetKey, set[dg.AssetKey]] = field(default_factory=dict)

    def add(self, pipeline: Pipeline) -> None:
        """Take one more pipeline, or raise ConfigError and stay as it is."""
        if other := self.names.get(pipeline.name):
            raise _problem(pipeline, f"name {pipeline.name!r} is taken by {other}")
        for target in pipeline.targets():
            if other := self.tables.get(asset_key(target)):
                raise _problem(pipeline, f"{target} is loaded by {other} already; load it in one place")
        edges = {
            asset_key(target): set(flow_dependencies(pipeline, number))
            for number, flow in enumerate(pipeline.flows)
            for target in flow.targets().values()
        }
        self._refuse_circle(pipeline, edges)
        self.names[pipeline.name] = pipeline.file
        self.tables |= dict.fromkeys(edges, pipeline.file)
        self.edges |= edges

    def _refuse_circle(self, pipeline: Pipeline, edges: dict[dg.AssetKey, set[dg.AssetKey]]) -> None:
        try:
            graphlib.TopologicalSorter({**self.edges, **edges}).prepare()
        except graphlib.CycleError as error:
            circle = " -> ".join(".".join(key.path) for key in error.args[1])
            raise _problem(pipeline, f"depends_on makes a circle: {circle}") from None


def _problem(pipeline: Pipeline, message: str) -> ConfigError:
    return ConfigError([Problem(message, file=pipeline.file)])

"""The dbt project as assets: models that follow their sources, and tests as asset checks."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    DbtProject,
    build_dbt_asset_selection,
    dbt_assets,
)
from packaging.version import Version

from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.pipelines.plan import Pipeline, load_pipeline, pipeline_files
from dteg.pipelines.transforms import dbt_environment
from orchestration.lib.schedules import pipeline_schedule

JOB = "dbt_build"
SENSOR = "follow_sources"
KEPT_INVOCATIONS = 20
# What dbt reads when it parses; everything else in the folder is for people.
PARSED_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".md", ".py"}
NOT_PARSED = {"target", "logs", "dbt_packages"}


class Translator(DagsterDbtTranslator):
    """Groups models by their layer, and lets them follow what they are made from."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Return the folder below `models/`: staging, intermediate or marts."""
        fqn = dbt_resource_props.get("fqn", [])
        return fqn[1] if len(fqn) > 2 else super().get_group_name(dbt_resource_props)

    def get_automation_condition(
        self, dbt_resource_props: Mapping[str, Any]
    ) -> "dg.AutomationCondition[Any] | None":
        """Build a model when a table below it has changed, unless a blocking check of that table fails.

        A load is recorded before its checks are: `eager` alone would build models from refused rows.
        """
        if dbt_resource_props["resource_type"] == "source":
            return None
        return dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


class DbtCli(DbtCliResource):
    """dagster-dbt's resource without its `dbt --version`, which starts dbt once more and asks PyPI for news."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(importlib.metadata.version("dbt-core"))


@dataclass(frozen=True)
class _Unstarted(Project):
    """A project whose embedded server is named, not started: to parse, dbt needs no server."""

    def warehouse_url(self) -> str:
        if not self.uses_embedded_postgres:
            return super().warehouse_url()
        from dteg.core.embedded import EmbeddedPostgres

        return EmbeddedPostgres.of(self).url()


def dbt_definitions(project: Project) -> dg.Definitions:
    """Build the assets, checks, job and sensor of the project's dbt folder; nothing if there is none."""
    if not (project.dbt_dir / "dbt_project.yml").is_file():
        return dg.Definitions()
    dbt_project = parsed_project(project)
    manifest = json.loads(dbt_project.manifest_path.read_text(encoding="utf-8"))
    translator = Translator(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    @dbt_assets(
        manifest=manifest,
        project=dbt_project,
        dagster_dbt_translator=translator,
        name="dbt_build_models",
        pool="dbt",
    )
    def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        # The folder of the manifest, so that dbt starts from what it has parsed already.
        os.environ.update(dbt_environment(project) | {"DBT_TARGET_PATH": str(dbt_project.target_path)})
        dbt = _cli(dbt_project)
        yield from dbt.cli(["build"], context=context).stream()

    selection = dg.AssetSelection.assets(models)
    jobs = [(_model_job(pipeline, models), pipeline) for pipeline in _model_pipelines(project)]
    return dg.Definitions(
        assets=[models, *_exposures(manifest, translator)],
        jobs=[
            dg.define_asset_job(
                JOB,
                selection=selection,
                description="Builds every dbt model and runs every dbt test.",
                executor_def=dg.in_process_executor,
            ),
            *(job for job, _ in jobs),
        ],
        schedules=[schedule for job, pipeline in jobs if (schedule := pipeline_schedule(pipeline, job))],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                SENSOR,
                target=selection,
                default_status=dg.DefaultSensorStatus.RUNNING,
                description="Builds models after the tables below them were loaded.",
            )
        ],
        executor=dg.in_process_executor,
    )


def _model_pipelines(project: Project) -> Iterator[Pipeline]:
    """Yield the pipelines that load nothing and only build models; broken files show in the other location."""
    for path in pipeline_files(project):
        with contextlib.suppress(DtegError):
            pipeline = load_pipeline(path, project)
            if not pipeline.flows and any(step.type == "dbt" for step in pipeline.transforms):
                yield pipeline


def _model_job(pipeline: Pipeline, models: dg.AssetsDefinition) -> UnresolvedAssetJobDefinition:
    """Return the job that builds what the pipeline selects."""
    selects = [step.select or "*" for step in pipeline.transforms if step.type == "dbt"]
    return dg.define_asset_job(
        pipeline.name,
        selection=build_dbt_asset_selection([models], dbt_select=" ".join(selects)),
        description=pipeline.spec.description or None,
        executor_def=dg.in_process_executor,
    )


def parsed_project(project: Project) -> DbtProject:
    """Return the dbt project with a manifest of exactly its present files, parsing them only if they changed.

    Raises:
        DagsterDbtCliRuntimeError: dbt cannot parse them; the message is dbt's.
    """
    os.environ.update(dbt_environment(_Unstarted(project.root)))
    targets = project.state_dir / "dbt" / "manifests"
    dbt_project = DbtProject(
        project.dbt_dir, target_path=targets / content_hash(project.dbt_dir), profiles_dir=project.dbt_dir
    )
    if not dbt_project.manifest_path.exists():
        _parse(dbt_project)
        _forget_old(targets, keep=dbt_project.target_path)
    _forget_old_invocations(dbt_project.target_path)
    return dbt_project


def _parse(project: DbtProject) -> None:
    """Parse into a folder of its own and rename it: others see a whole manifest or none."""
    target = project.target_path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=".parse-"))
    try:
        _cli(project).cli(["parse", "--quiet"], target_path=part).wait()
        part.rename(target)
    except OSError:
        if not project.manifest_path.exists():  # else another process was faster
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def content_hash(folder: Path) -> str:
    """Return a digest of what the manifest is made of: the files, dbt's version and the database's name."""
    digest = hashlib.sha256()
    digest.update(importlib.metadata.version("dbt-core").encode())
    digest.update(os.environ.get("DTEG_PG_DATABASE", "").encode())
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and path.suffix in PARSED_SUFFIXES and inner.parts[0] not in NOT_PARSED:
            digest.update(f"{inner}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _cli(project: DbtProject) -> DbtCli:
    """Return the dbt beside this Python: a virtual environment need not be on PATH to be used."""
    beside = Path(sys.executable).with_name("dbt")
    executable = str(beside) if beside.exists() else "dbt"
    return DbtCli(project_dir=project, dbt_executable=executable)  # type: ignore[arg-type] # it takes a project too


def _forget_old(targets: Path, keep: Path) -> None:
    """Remove the manifests of earlier states of the project, but never the newest others a run may still use."""
    others = sorted(
        (
            path
            for path in targets.iterdir()
            if path.is_dir() and path != keep and not path.name.startswith(".")
        ),
        key=_modified,
    )
    for path in others[:-2]:
        shutil.rmtree(path, ignore_errors=True)


def _forget_old_invocations(target: Path) -> None:
    """Remove what dbt wrote in all but the last runs: dagster-dbt makes a folder for each and removes none."""
    folders = sorted((path for path in target.iterdir() if path.is_dir()), key=_modified)
    for path in folders[:-KEPT_INVOCATIONS]:
        shutil.rmtree(path, ignore_errors=True)


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _exposures(manifest: Mapping[str, Any], translator: DagsterDbtTranslator) -> list[dg.AssetSpec]:
    """Return an external asset for each exposure, so that the graph ends where people look at the data."""
    specs = []
    for exposure in manifest.get("exposures", {}).values():
        nodes = [node for node in exposure["depends_on"]["nodes"] if node in manifest["nodes"]]
        specs.append(
            dg.AssetSpec(
                ["exposures", exposure["name"]],
                deps=[translator.get_asset_spec(manifest, node, None).key for node in nodes],
                description=exposure.get("description") or None,
                group_name="exposures",
                kinds={exposure["type"]},
            )
        )
    return specs

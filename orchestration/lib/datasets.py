"""The component type of a folder of datasets: each file an asset with checks, a job, and a schedule if it asks for one."""

import functools
import graphlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from orchestration.lib.broken import FileKind, file_definitions
from orchestration.lib.building import ProjectComponent, assets_job, job_schedule
from orchestration.lib.dataset_runs import (
    DATASET_TAG,
    SLOT_TAG,
    check_name,
    freshness,
    refresh_steps,
)
from orchestration.lib.reads import DICTIONARIES, Reads, dataset_key
from orchestration.lib.snapshots import forecast_definitions, snapshot_definitions
from orchestration.lib.sources import FITS, external_tables
from orchestration.lib.user_checks import remembered
from orchestration.lib.user_datasets import user_definitions

if TYPE_CHECKING:
    from dteg.datasets.spec import DatasetSpec

GROUP = "datasets"
PIPELINES = "pipelines"


def _load(path: Path, project: Project) -> "DatasetSpec":
    from dteg.datasets.files import load_dataset

    return load_dataset(path, project)


DATASET_FILE = FileKind(
    "dataset_configuration",
    "check_dataset_configuration",
    ("dteg_config", "datasets"),
    "its dataset is not refreshed; the last rows are still served",
    _load,
)


class DatasetsFolder(ProjectComponent):
    """Every dataset of the project: those of its `datasets/` folder, and those that people made in the studio.

    A file is the asset `ds/<name>`: a refresh builds new rows, checks them, and only then lets readers see them.
    What people made is a partition each of the asset `ds_user`, so that a new one needs no reload. A file that is
    not valid does not keep the others from loading: it becomes the asset `dteg_config/datasets/<name>`, whose check
    `valid_config` says what is wrong.

    Example:
        ```yaml
        type: orchestration.lib.DatasetsFolder
        attributes:
          every_s: 30
        ```
    """

    about = "Every dataset of the project; a file that is not valid becomes a failing check."
    tags = ("datasets",)
    makes = ("asset", "asset_check", "job", "schedule", "sensor")

    every_s: int = Field(
        30, ge=5, description="Seconds between two looks at the datasets that people made.", examples=[30]
    )
    pipelines: str = Field(
        PIPELINES, description="Folder of `defs` whose jobs' names are taken.", examples=["pipelines"]
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions of all files, and what looks after the other datasets."""
        from dteg.datasets.files import dataset_files

        project = Project.find()
        files = dataset_files(project)
        taken = _names(context.build_defs(self.pipelines)) if files else set()
        also = remembered(project)
        return dg.Definitions.merge(
            datasets_definitions(files, project, taken, also), user_definitions(project, self.every_s, also)
        )


def _names(pipelines: dg.Definitions) -> set[str]:
    jobs = {job.name for job in pipelines.jobs or ()}
    return jobs | {schedule.name for schedule in pipelines.schedules or ()}


def datasets_definitions(
    files: Sequence[Path], project: Project, taken: set[str] | None = None, also: Reads | None = None
) -> dg.Definitions:
    """Build the definitions of files, the broken ones included.

    Args:
        files: Their paths.
        project: Where they lie.
        taken: Names of jobs and schedules that others have.
        also: What other datasets read.
    """
    seen = _Seen(set(taken or ()))
    if also:
        seen.tables |= set(also.tables)
        seen.dictionaries |= set(also.dictionaries)

    def build(path: Path) -> dg.Definitions:
        spec = _load(path, project)
        part = dataset_definitions(spec, path, project)
        seen.add(spec, project.display(path), _names(part))
        return part

    parts = file_definitions(files, project, build, DATASET_FILE)
    specs = [*external_tables(seen.tables), *_dictionaries(seen.dictionaries)]
    return dg.Definitions.merge(dg.Definitions(assets=specs), *parts, forecast_definitions(seen.remembered))


def _dictionaries(slugs: set[str]) -> list[dg.AssetSpec]:
    return [
        dg.AssetSpec(
            [DICTIONARIES, slug],
            group_name="dictionaries",
            kinds={"dictionary"},
            description=f"The dictionary {slug}, which people maintain.",
            metadata={"dagster/table_name": f"{DICTIONARIES}.{slug}"},
        )
        for slug in sorted(slugs)
    ]


def reads_of(spec: "DatasetSpec") -> Reads:
    """Return what a definition names; whether it is there is for its refresh to find out."""
    from dteg.datasets.spec import DatasetSource, DictionarySource, LookupColumn, TableSource

    tables, dictionaries, datasets = [], [], []
    for ref in spec.sources.values():
        if isinstance(ref, TableSource):
            # The warehouse's own tables without a schema are those of public, as in a pipeline.
            default = "public" if ref.source == "warehouse" else ""
            schema = ref.schema_ or default
            tables.append((ref.source, f"{schema}.{ref.table}" if schema else ref.table))
        elif isinstance(ref, DictionarySource):
            dictionaries.append(ref.dictionary)
        elif isinstance(ref, DatasetSource):
            datasets.append(ref.dataset)
    dictionaries += [column.lookup.dictionary for column in spec.columns if isinstance(column, LookupColumn)]
    return Reads(
        list(dict.fromkeys(tables)), list(dict.fromkeys(dictionaries)), list(dict.fromkeys(datasets))
    )


def in_order(project: Project) -> list[str]:
    """Return the slugs of the datasets of files, each after those that it reads.

    Raises:
        ConfigError: A file is not valid, or they read each other in a circle.
    """
    from dteg.datasets.files import dataset_files

    seen = _Seen(set())
    for path in dataset_files(project):
        seen.add(_load(path, project), project.display(path), set())
    return [slug for slug in graphlib.TopologicalSorter(seen.edges).static_order() if slug in seen.files]


def dataset_definitions(spec: "DatasetSpec", path: Path, project: Project) -> dg.Definitions:
    """Build everything that a dataset is in Dagster: itself, its snapshots, and their forecasts."""
    asset = _dataset_asset(spec, path, project)
    job = _job(spec)
    schedule = _schedule(spec, job, project.display(path))
    own = dg.Definitions(assets=[asset], jobs=[job], schedules=[schedule] if schedule else [])
    return dg.Definitions.merge(own, snapshot_definitions(spec, project)) if spec.snapshot else own


def checks_of(spec: "DatasetSpec") -> dict[str, bool]:
    """Return the names of the checks of a dataset as Dagster knows them -> whether they are blocking."""
    from dteg.datasets.refreshing.checks import check_names

    return {check_name(name): blocking for name, blocking in check_names(spec)}


def _dataset_asset(spec: "DatasetSpec", path: Path, project: Project) -> dg.AssetsDefinition:
    key, checks = dataset_key(spec.dataset), checks_of(spec)
    file = project.display(path)
    asset = dg.AssetSpec(
        key,
        group_name=GROUP,
        description=spec.description or spec.title or None,
        kinds={"dataset", "postgres"},
        deps=reads_of(spec).keys,
        # Nothing is materialized when another program has done the work of this time of the schedule.
        skippable=True,
        freshness_policy=freshness(spec.cache.max_age) if spec.cache.max_age else None,
        metadata={"dagster/table_name": f"ds.{spec.dataset}", "dataset_file": file},
    )
    fits = dg.AssetCheckSpec(FITS, asset=key, description="The definition goes with its sources as they are.")
    own = [dg.AssetCheckSpec(name, asset=key, blocking=blocking) for name, blocking in checks.items()]

    # As a subset, because only then the results of checks may be left out too.
    @dg.multi_asset(
        name=f"dataset__{spec.dataset}__refresh", specs=[asset], check_specs=[fits, *own], can_subset=True
    )
    def refresh(context: dg.AssetExecutionContext) -> Iterator[Any]:
        save = functools.partial(_read_again, spec, path, project)
        yield from refresh_steps(context, project, spec.dataset, checks, save)

    return refresh


def _read_again(spec: "DatasetSpec", path: Path, project: Project) -> None:
    """Save the definition as its file is now.

    Raises:
        ConfigError: It is not valid any more, or what it is here is not what this code location shows.
    """
    from dteg.datasets.service import Datasets

    current = _load(path, project)
    if (current.dataset, checks_of(current)) != (spec.dataset, checks_of(spec)):
        raise ConfigError(
            f"{project.display(path)} has another name or other checks than when this code location was loaded; "
            "reload the location, then run again"
        )
    Datasets.of(project).apply(path, who="dagster")


def _job(spec: "DatasetSpec") -> UnresolvedAssetJobDefinition:
    return assets_job(
        f"dataset__{spec.dataset}",
        [dataset_key(spec.dataset)],
        f"Builds the rows of the dataset {spec.dataset} anew.",
        tags={DATASET_TAG: spec.dataset},
    )


def _schedule(
    spec: "DatasetSpec", job: UnresolvedAssetJobDefinition, file: str
) -> dg.ScheduleDefinition | None:
    if not spec.cache.schedule:
        return None
    return job_schedule(
        job,
        spec.cache.schedule,
        spec.cache.timezone,
        f"Refreshes the dataset of {file}.",
        request=slot_request(spec.dataset),
    )


def slot_request(slug: str) -> Callable[..., dg.RunRequest]:
    """Return what makes of a tick the run of its time, so that the time is worked on once, whoever does it."""

    def request(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        slot = context.scheduled_execution_time.astimezone(UTC).isoformat()
        return dg.RunRequest(run_key=f"{slug}@{slot}", tags={SLOT_TAG: slot, DATASET_TAG: slug})

    return request


@dataclass
class _Seen:
    """What the files so far make together, to refuse a file that does not go with them."""

    names: set[str]
    files: dict[str, str] = field(default_factory=dict)
    edges: dict[str, set[str]] = field(default_factory=dict)
    tables: set[tuple[str, str]] = field(default_factory=set)
    dictionaries: set[str] = field(default_factory=set)
    remembered: list[str] = field(default_factory=list)

    def add(self, spec: "DatasetSpec", file: str, names: set[str]) -> None:
        """Take one more dataset, or raise ConfigError and stay as it is."""
        if other := self.files.get(spec.dataset):
            raise ConfigError([Problem(f"dataset {spec.dataset!r} is in {other} already", file=file)])
        if clash := names & self.names:
            raise ConfigError(
                [Problem(f"a pipeline is called {min(clash)!r}; rename one of them", file=file)]
            )
        reads = reads_of(spec)
        edges = {**self.edges, spec.dataset: set(reads.datasets)}
        try:
            graphlib.TopologicalSorter(edges).prepare()
        except graphlib.CycleError as error:
            circle = " -> ".join(error.args[1])
            raise ConfigError(
                [Problem(f"datasets read each other in a circle: {circle}", file=file)]
            ) from None
        self.files[spec.dataset] = file
        self.edges = edges
        self.names |= names
        self.tables |= set(reads.tables)
        self.dictionaries |= set(reads.dictionaries)
        if spec.snapshot:
            self.remembered.append(spec.dataset)

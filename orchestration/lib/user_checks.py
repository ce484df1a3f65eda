"""Checks and lineage of datasets that people made, for whom there is one asset.

An asset has the checks and dependencies that it had when its location was loaded, and people make datasets at any time.
So each partition has the same three checks, whose results say what the dataset's own checks found; and what a dataset
reads is told by each of its materializations. What all of them read together is written to a file, of which the next
load of the location makes the lines of the graph: a location opens no connection while it loads.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dteg.core.project import Project
from orchestration.lib.reads import DICTIONARIES, Reads, dataset_key
from orchestration.lib.sources import FITS, USER_DATASETS, table_key

if TYPE_CHECKING:
    from dteg.datasets.models import CheckResult, Dataset

DATASETS = dg.AssetKey(USER_DATASETS)
BLOCKING = "rows_pass"
WARNING = "rows_warn"
RESULTS = "checks"
"""Metadata of a result: a table of what each check of the dataset found."""


def check_specs(slugs: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """Return the checks that each dataset that somebody made has, by partition."""
    about = {
        FITS: "The definition goes with its sources as they are.",
        BLOCKING: "The dataset's checks that keep rows from being published.",
        WARNING: "The dataset's checks that only warn.",
    }
    return [
        dg.AssetCheckSpec(
            name, asset=DATASETS, description=text, blocking=name == BLOCKING, partitions_def=slugs
        )
        for name, text in about.items()
    ]


def results(found: "Sequence[CheckResult]") -> Iterator[dg.AssetCheckResult]:
    """Return what the checks of one dataset found; nothing for a kind of which it has none."""
    for name, blocking in ((BLOCKING, True), (WARNING, False)):
        if mine := [each for each in found if each.blocking is blocking]:
            yield _result(name, mine, blocking=blocking)


def evaluations(slug: str, found: "Sequence[CheckResult]") -> Iterator[dg.AssetCheckEvaluation]:
    """Return the same for what refreshed a dataset without being its asset."""
    for each in results(found):
        yield dg.AssetCheckEvaluation(
            asset_key=DATASETS,
            check_name=each.check_name or "",
            passed=each.passed,
            metadata=each.metadata,
            severity=each.severity,
            description=each.description,
            partition=slug,
        )


def _result(name: str, found: "list[CheckResult]", *, blocking: bool) -> dg.AssetCheckResult:
    failed = [each for each in found if not each.passed]
    told = "; ".join(f"{each.name}: {each.message}" for each in failed)
    records = [
        dg.TableRecord({"check": each.name, "passed": each.passed, "message": each.message}) for each in found
    ]
    return dg.AssetCheckResult(
        asset_key=DATASETS,
        check_name=name,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if blocking else dg.AssetCheckSeverity.WARN,
        description=told or f"{len(found)} checks passed",
        metadata={RESULTS: dg.MetadataValue.table(records), "failed": len(failed)},
    )


# --- Lineage -----------------------------------------------------------------------------------


def reads_of_dataset(dataset: "Dataset") -> Reads:
    """Return what a saved dataset reads."""
    names: dict[str, list[str]] = {"source_table": [], "dictionary": [], "dataset": []}
    for each in dataset.depends_on:
        names[each.kind].append(each.name)
    tables = [(source, table) for source, _, table in (name.partition("/") for name in names["source_table"])]
    return Reads(tables, names["dictionary"], names["dataset"])


def upstream(dataset: "Dataset", made: Iterable[str]) -> dict[str, Any]:
    """Return what a dataset reads as metadata of its materialization: a link to each asset.

    Args:
        dataset: Which.
        made: Slugs of all datasets that people made; they are partitions, to which there are no links of their own.
    """
    reads, partitions = reads_of_dataset(dataset), set(made)
    links: dict[str, Any] = {
        f"reads {source}/{table}": dg.MetadataValue.asset(table_key(source, table))
        for source, table in reads.tables
    }
    for slug in reads.dictionaries:
        links[f"reads dictionary {slug}"] = dg.MetadataValue.asset(dg.AssetKey([DICTIONARIES, slug]))
    for slug in reads.datasets:
        key = DATASETS if slug in partitions else dataset_key(slug)
        links[f"reads dataset {slug}"] = dg.MetadataValue.asset(key)
    return links


def remember(project: Project, made: "Mapping[str, Dataset]") -> bool:
    """Write down what the datasets that people made read, for the next load; return whether that is new."""
    found = [reads_of_dataset(dataset) for dataset in made.values()]
    reads = Reads(
        sorted({table for each in found for table in each.tables}),
        sorted({slug for each in found for slug in each.dictionaries}),
        sorted({slug for each in found for slug in each.datasets} - set(made)),
    )
    path, text = _path(project), json.dumps(asdict(reads))
    if remembered(project) == reads:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_suffix(f".{os.getpid()}")
    waiting.write_text(text)
    waiting.replace(path)
    return True


def remembered(project: Project) -> Reads:
    """Return what the datasets that people made read when somebody looked last; nothing if nobody did."""
    try:
        values = json.loads(_path(project).read_text())
        tables = [(str(source), str(table)) for source, table in values["tables"]]
        return Reads(tables, list(values["dictionaries"]), list(values["datasets"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Reads([], [], [])


def _path(project: Project) -> Path:
    return project.state_dir / "dagster" / "user_datasets.json"

"""Tables of sources as external assets, and a sensor that writes into their history what became of them.

A table that a pipeline loads, or that dbt makes, has an asset already: the source `warehouse` gives those.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from dteg.core.errors import DtegError
from dteg.core.project import Project
from orchestration.lib.building import ProjectComponent, running_sensor

if TYPE_CHECKING:
    from dteg.sources.models import LinkReport, Source, SourceTable, TableDrift
    from dteg.sources.service import Sources

SENSOR = "source_tables"
GROUP = "sources"
FOLDER = "src"
WAREHOUSE = "warehouse"
HASH_TAG = "dteg/schema_hash"
USER_DATASETS = "ds_user"
"""Asset and partitions of the datasets that people made."""
FITS = "sources_fit"
"""Name of the check of each dataset that says whether its definition still goes with its sources."""
# A sensor has a minute; a source that is slow to look at must leave the others some of it.
SOURCES_A_LOOK = 3


def table_key(source: str, table: str) -> dg.AssetKey:
    """Return the key of a table of a source.

    Args:
        source: Slug of the source.
        table: `schema.name`, or `name` where the kind has no schemas; as a pipeline has it for the warehouse's own.
    """
    parts = table.split(".", 1)
    return dg.AssetKey(parts if source == WAREHOUSE else [FOLDER, source, *parts])


def external_tables(tables: Iterable[tuple[str, str]]) -> list[dg.AssetSpec]:
    """Return the external assets of tables of sources, given as (source, table); none for the warehouse's own."""
    return [
        dg.AssetSpec(
            table_key(source, table),
            group_name=GROUP,
            kinds={"table"},
            description=f"The table {table} of the source {source}.",
            metadata={"source": source, "dagster/table_name": f"{source}.{table}"},
        )
        for source, table in sorted(set(tables))
        if source != WAREHOUSE
    ]


class SourcesSensor(ProjectComponent):
    """A sensor that looks at the tables of sources: how many rows, and whether their columns are as before.

    What a change breaks is said by the check `sources_fit` of each dataset that it concerns.

    Example:
        ```yaml
        type: orchestration.lib.SourcesSensor
        attributes:
          every_s: 300
          refresh_s: 3600
        ```
    """

    about = "A sensor that looks at the tables of sources, and says what a change of them breaks."
    tags = ("datasets",)
    makes = ("sensor",)

    every_s: int = Field(300, ge=5, description="Seconds between two looks.", examples=[300])
    refresh_s: int = Field(
        3600,
        ge=60,
        description="Seconds after which a source is asked again which tables and columns it has.",
        examples=[3600],
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the sensor."""
        return dg.Definitions(sensors=[sources_sensor(Project.find(), self.every_s, self.refresh_s)])


def sources_sensor(project: Project, every_s: int, refresh_s: int) -> dg.SensorDefinition:
    """Return the sensor.

    Args:
        project: Whose sources.
        every_s: Seconds between two looks.
        refresh_s: Age from which a source is asked again (s).
    """
    refresh_after = timedelta(seconds=refresh_s)
    return running_sensor(
        SENSOR,
        every_s,
        lambda context: observe(context, project, refresh_after),
        "Looks at the tables of sources, and says what a change of them breaks.",
    )


def observe(
    context: dg.SensorEvaluationContext, project: Project, refresh_after: timedelta
) -> dg.SensorResult | dg.SkipReason:
    """Look at all sources; tell of tables that are new, or differ from the last look.

    The cursor holds what was told of each table. It is saved after the events, so that a crash between tells
    again and never leaves one out.
    """
    from dteg.sources.service import Sources

    told: dict[str, str] = json.loads(context.cursor or "{}")
    try:
        sources = Sources.of(project)
        reports, failed = _refresh_old(sources, refresh_after)
        tables = [
            table
            for source in sources.sources()
            for table in _tables(sources, source)
            if _is_known(context, table_key(table.source, table.full_name))
        ]
    except DtegError as error:
        return dg.SkipReason(f"the sources cannot be looked at: {error}")
    drift = {(each.source.slug, change.table): change for each in reports for change in each.drift}
    seen = {_name(table): _state(table) for table in tables}
    events: list[Any] = [
        observation(table, drift.get((table.source, table.full_name)))
        for table in tables
        if told.get(_name(table)) != seen[_name(table)]
    ]
    events += [
        evaluation
        for report in reports
        for evaluation in broken_checks(report, _made_by_people(context))
        if _is_known(context, evaluation.asset_key)
    ]
    cursor = json.dumps(seen, sort_keys=True)
    if not events and cursor == (context.cursor or "{}"):
        return dg.SkipReason("; ".join(failed) or "no table of a source has changed")
    return dg.SensorResult(asset_events=events, cursor=cursor)


def _refresh_old(sources: "Sources", refresh_after: timedelta) -> tuple[list["LinkReport"], list[str]]:
    """Ask the sources again that were not asked for long; return their reports, and what failed."""
    now = datetime.now(UTC)
    # A staged source is copied when somebody needs it, which also looks at it; a copy is too much for a look.
    old = [
        source
        for source in sources.sources()
        if source.mode == "fdw"
        and source.state != "open"
        and (source.linked_at is None or now - source.linked_at > refresh_after)
    ]
    old.sort(key=lambda source: source.linked_at or datetime.min.replace(tzinfo=UTC))
    reports, failed = [], []
    for source in old[:SOURCES_A_LOOK]:
        try:
            reports.append(sources.refresh(source.slug))
        except DtegError as error:
            failed.append(f"{source.slug}: {error}")
    return reports, failed


def _tables(sources: "Sources", source: "Source") -> Sequence["SourceTable"]:
    return [] if source.slug == WAREHOUSE else sources.tables(source.slug)


def _name(table: "SourceTable") -> str:
    return f"{table.source}/{table.full_name}"


def _state(table: "SourceTable") -> str:
    return f"{table.schema_hash}:{'' if table.row_estimate is None else table.row_estimate}"


def observation(table: "SourceTable", drift: "TableDrift | None" = None) -> dg.AssetObservation:
    """Return what is written into the history of a table of a source."""
    metadata: dict[str, Any] = {
        "schema_hash": table.schema_hash,
        "relation": str(table.relation),
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(column.name, column.type or column.remote_type) for column in table.columns]
        ),
    }
    if table.row_estimate is not None:
        metadata["row_estimate"] = table.row_estimate
    if table.introspected_at:
        metadata["looked_at"] = dg.MetadataValue.timestamp(table.introspected_at)
    if table.problem:
        metadata["problem"] = table.problem
    description = None
    if drift:
        changes = [
            f"{each.column} {each.change}: {each.before or '-'} → {each.after or '-'}"
            for each in drift.columns
        ]
        description = f"table {drift.change}" + (f": {'; '.join(changes)}" if changes else "")
        metadata["drift"] = dg.MetadataValue.md(
            "\n".join(f"- {change}" for change in changes) or drift.change
        )
        metadata["breaks"] = ", ".join(drift.broken) or "nothing"
    return dg.AssetObservation(
        table_key(table.source, table.full_name),
        description=description,
        metadata=metadata,
        tags={HASH_TAG: table.schema_hash},
    )


def broken_checks(
    report: "LinkReport", partitions: frozenset[str] = frozenset()
) -> list[dg.AssetCheckEvaluation]:
    """Return a failed check for each dataset that a change of its sources breaks.

    Args:
        report: What became of a source.
        partitions: Datasets that people made: partitions of one asset.
    """
    reasons: dict[str, list[str]] = {}
    for drift in report.drift:
        columns = (
            ", ".join(f"{each.column} {each.change}" for each in drift.columns) or f"table {drift.change}"
        )
        for slug in drift.broken:
            reasons.setdefault(slug, []).append(f"{report.source.slug}/{drift.table}: {columns}")
    return [
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey([USER_DATASETS] if slug in partitions else ["ds", slug]),
            check_name=FITS,
            passed=False,
            description="; ".join(why) + "; the last rows are still served",
            metadata={"message": "; ".join(why)},
            partition=slug if slug in partitions else None,
        )
        for slug, why in sorted(reasons.items())
    ]


def _made_by_people(context: dg.SensorEvaluationContext) -> frozenset[str]:
    return frozenset(context.instance.get_dynamic_partitions(USER_DATASETS))


def _is_known(context: dg.SensorEvaluationContext, key: dg.AssetKey) -> bool:
    """Whether there is such an asset: of thousands of tables of a source only those that a file reads have one."""
    repository = context.repository_def
    return repository is not None and repository.asset_graph.has(key)

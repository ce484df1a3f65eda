"""Brings schema changes to Dagster: into the history of the table's asset, and as runs of the pipelines that ask."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from dteg.core.errors import ConfigError, DtegError
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from orchestration.lib.building import ProjectComponent, running_sensor
from orchestration.lib.checks import asset_key
from orchestration.lib.schedules import WATCHED

if TYPE_CHECKING:
    from dteg.schema_changes.models import SchemaChange

SENSOR = "schema_changes"
CHANGE_TAG = "dteg/schema_change"
PIPELINES = "pipelines"
MAX_DDL = 2000


class SchemaChangesSensor(ProjectComponent):
    """A sensor that tells the assets of tables what became of their columns, and who did it.

    It also runs the pipelines that name the table under `watch: {schema_changes: [...]}`.

    Example:
        ```yaml
        type: orchestration.lib.SchemaChangesSensor
        attributes:
          every_s: 15
        ```
    """

    about = "A sensor that brings schema changes to the assets of their tables."
    tags = ("operations",)
    makes = ("sensor",)

    every_s: int = Field(15, ge=5, description="Seconds between two looks.", examples=[15])
    pipelines: str = Field(
        PIPELINES, description="Folder of `defs` with the pipelines.", examples=["pipelines"]
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the sensor."""
        pipelines = context.build_defs(self.pipelines)
        return dg.Definitions(
            sensors=[schema_changes_sensor(Project.find(), wanted_by(pipelines), self.every_s)]
        )


def wanted_by(pipelines: dg.Definitions) -> dict[str, list[Any]]:
    """Return the jobs to run after a change of each table, by `schema.table`."""
    wanted: dict[str, list[Any]] = {}
    for job in pipelines.jobs or ():
        watched = (job.metadata or {}).get(WATCHED)
        for table in str(getattr(watched, "value", watched) or "").split():
            wanted.setdefault(table, []).append(job)
    return wanted


def schema_changes_sensor(
    project: Project, wanted: Mapping[str, Sequence[Any]], every_s: int
) -> dg.SensorDefinition:
    """Return the sensor.

    Args:
        project: Whose changes.
        wanted: Jobs to run, by table.
        every_s: Seconds between two looks.
    """
    jobs = {job.name: job for each in wanted.values() for job in each}
    names = {table: [job.name for job in each] for table, each in wanted.items()}
    return running_sensor(
        SENSOR,
        every_s,
        lambda context: changes_since(context, project, names),
        "Tells the assets of tables what became of their columns, and who did it.",
        list(jobs.values()),
    )


def changes_since(
    context: dg.SensorEvaluationContext, project: Project, wanted: Mapping[str, Sequence[str]]
) -> dg.SensorResult | dg.SkipReason:
    """Read what changed since the last look.

    The cursor goes back together with the observations and runs, and Dagster saves it after those: a crash
    between tells them again, and never leaves one out. A run has the number of its change as its key, so
    it runs once all the same.
    """
    from dteg.core.postgres import database_of
    from dteg.schema_changes.service import SchemaChanges

    try:
        changes, following = SchemaChanges.of(project).read(int(context.cursor or 0))
        database = database_of(project.warehouse_url())
    except DtegError as error:
        return dg.SkipReason(f"schema changes cannot be read: {error}")
    if not changes:
        return dg.SkipReason("nothing has changed")
    ours = [change for change in changes if change.database == database and table_key(change)]
    first_look = context.cursor is None  # what happened before belongs into the history, but runs nothing
    return dg.SensorResult(
        asset_events=[observation(each) for each in ours if _is_known(context, table_key(each))],
        run_requests=[
            dg.RunRequest(
                run_key=f"schema-change-{change.id}", job_name=job, tags={CHANGE_TAG: str(change.id)}
            )
            for change in ([] if first_look else ours)
            for job in wanted.get(change.table or "", ())
        ],
        cursor=str(following),
    )


def table_key(change: "SchemaChange") -> dg.AssetKey | None:
    """Return the key of the asset that a change concerns; None if it is of no table, or of one that cannot be one."""
    try:
        return asset_key(TableName.parse(change.table)) if change.table else None
    except ConfigError:  # a name with a dot in it
        return None


def observation(change: "SchemaChange") -> dg.AssetObservation:
    """Return what is written into the history of a table."""
    metadata: dict[str, Any] = {
        "change": change.summary,
        "who": change.who or "unknown",
        "at": dg.MetadataValue.timestamp(change.at),
        "command": change.command,
        "found_by": change.found_by,
    }
    if change.columns:
        metadata["columns"] = dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "column": column.name,
                        "change": column.change,
                        "old type": column.old_type or "-",
                        "new type": column.new_type or "-",
                        "new name": column.new_name or "-",
                    }
                )
                for column in change.columns
            ]
        )
    if change.ddl:
        metadata["statement"] = dg.MetadataValue.md(f"```sql\n{change.ddl[:MAX_DDL]}\n```")
    if change.breaks:
        broken = "\n".join(f"- {each.kind} {each.name}: {each.why}" for each in change.breaks)
        metadata["breaks"] = dg.MetadataValue.md(broken)
    key = table_key(change)
    assert key is not None
    return dg.AssetObservation(
        key, description=change.summary, metadata=metadata, tags={CHANGE_TAG: str(change.id)}
    )


def _is_known(context: dg.SensorEvaluationContext, key: dg.AssetKey | None) -> bool:
    """Whether there is such an asset: a table that somebody tries things in does not become one."""
    repository = context.repository_def
    if key is None:
        return False
    return (repository is not None and repository.asset_graph.has(key)) or context.instance.has_asset_key(key)

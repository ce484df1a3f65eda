"""The metadata cache in Dagster: collected each night, and after schema changes; its quality as checks."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.core.retry import RetryPolicy
from dteg.core.schedules import CronText, TimezoneText
from dteg.metadata import metadata_of
from orchestration.lib.building import ProjectComponent, assets_job, job_schedule, running_sensor
from orchestration.lib.failures import dagster_failures, tell

if TYPE_CHECKING:
    from dteg.metadata.expiry import ExpiryWatch
    from dteg.metadata.reports import CollectReport

FOLDER = "metadata"
JOB = "metadata_cache"
SENSOR = "metadata_after_schema_changes"
WAREHOUSE = "warehouse"
EXAMPLES = "examples_valid"
SCORE = "score_kept"
RETRY = RetryPolicy(max_attempts=3, base_delay_s=30.0, max_delay_s=300.0)
_SHOWN = 10
_WATCH_EVERY_S = 300.0
_watched: dict[Path, float] = {}
_watches: "dict[Path, ExpiryWatch]" = {}


class MetadataCache(ProjectComponent):
    """An asset for the metadata cache of each source, a schedule, and a sensor that collects after schema changes.

    Example:
        ```yaml
        type: orchestration.lib.MetadataCache
        attributes:
          sources: [warehouse]
          schedule: "0 2 * * *"
          timezone: Asia/Seoul
        ```
    """

    about = "The metadata cache of sources: collected by a schedule and after schema changes."
    tags = ("metadata",)
    makes = ("asset", "asset_check", "job", "schedule", "sensor")

    sources: list[str] = Field(
        [WAREHOUSE],
        description="Which sources: `warehouse`, or sources of kind postgres and mysql.",
        examples=[["warehouse"]],
    )
    schedule: CronText = Field(
        "0 2 * * *", description="Cron expression of the collection.", examples=["0 2 * * *"]
    )
    timezone: TimezoneText = Field(
        "Asia/Seoul", description="Time zone of the schedule.", examples=["Asia/Seoul"]
    )
    every_s: int = Field(
        60, ge=15, description="Seconds between two looks for schema changes.", examples=[60]
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions."""
        return cache_definitions(
            Project.find(), self.sources, self.schedule, timezone=self.timezone, every_s=self.every_s
        )


def cache_key(source: str) -> dg.AssetKey:
    """Return the key of the cache of a source."""
    return dg.AssetKey([FOLDER, source])


def cache_definitions(
    project: Project, sources: Sequence[str], schedule: str, *, timezone: str, every_s: int
) -> dg.Definitions:
    """Build the assets, their job, its schedule, and the sensor.

    Args:
        project: Whose caches.
        sources: Which.
        schedule: Cron expression.
        timezone: Of the schedule.
        every_s: Seconds between two looks for schema changes.
    """
    job = assets_job(
        JOB,
        [cache_key(source) for source in sources],
        "Collects the metadata of all sources, and runs the examples whose tables have changed.",
    )
    daily = job_schedule(job, schedule, timezone, "Collects the metadata of all sources.")
    sensors = [_sensor(project, job, every_s)] if WAREHOUSE in sources else []
    return dg.Definitions(
        assets=[_asset(source, project) for source in sources], jobs=[job], schedules=[daily], sensors=sensors
    )


def _asset(source: str, project: Project) -> dg.AssetsDefinition:
    key = cache_key(source)
    spec = dg.AssetSpec(
        key,
        group_name=FOLDER,
        kinds={"metadata"},
        description=f"What is in {source}, for people and models that write SQL; every example in it was run.",
    )
    checks = [
        dg.AssetCheckSpec(EXAMPLES, asset=key, description="All examples pass the gate and run."),
        dg.AssetCheckSpec(SCORE, asset=key, description="The cache is as good as the version before."),
    ]

    @dg.multi_asset(name=f"metadata__{source}", specs=[spec], check_specs=checks)
    def collect(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with dagster_failures(context, RETRY, tried_before=False):
            report = metadata_of(project).collect(source)
        tell(context, sentence(report))
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                "version": report.cache_version,
                "published": report.published,
                "tables": report.tables,
                "tables_read": report.tables_read,
                "score": report.quality.score,
                "problems": dg.MetadataValue.json(report.problems[:_SHOWN]),
            },
        )
        yield from _results(key, report)

    return collect


def _results(key: dg.AssetKey, report: "CollectReport") -> Iterator[dg.AssetCheckResult]:
    found = {alert.name: alert.message for alert in report.alerts}
    for name, alert in ((EXAMPLES, "examples_invalid"), (SCORE, "score_dropped")):
        message = found.get(alert)  # type: ignore[call-overload] # the names of the alerts are literals there
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=message is None,
            severity=dg.AssetCheckSeverity.WARN,
            description=message or "it is as it should be",
        )


def collect_metadata(context: dg.OpExecutionContext, source: str, project: Project) -> str:
    """Collect for a cron job, and say in a sentence what came of it.

    Raises:
        DtegError: It failed.
    """
    report = metadata_of(project).collect(source)
    context.log.info(sentence(report))
    return sentence(report)


def sentence(report: "CollectReport") -> str:
    """Say what came of a collection."""
    done = "published" if report.published else "nothing differs from"
    valid, all_ = report.examples.get("valid", 0), sum(report.examples.values())
    return (
        f"{report.source}: {done} version {report.cache_version}, {report.tables} tables "
        f"({report.tables_read} read), {valid} of {all_} examples valid"
    )


def _sensor(project: Project, job: Any, every_s: int) -> dg.SensorDefinition:
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        watch_expiry(project)
        return after_changes(context, project)

    return running_sensor(SENSOR, every_s, look, "Collects the metadata again after a schema change.", [job])


def watch_expiry(project: Project) -> None:
    """Tell the alerts, at most every five minutes, of caches that are about to expire."""
    if time.monotonic() < _watched.get(project.root, -_WATCH_EVERY_S) + _WATCH_EVERY_S:
        return
    from dteg.metadata.expiry import ExpiryWatch

    _watched[project.root] = time.monotonic()
    watch = _watches.setdefault(project.root, ExpiryWatch(metadata_of(project)))
    with contextlib.suppress(DtegError):
        watch.look()


def after_changes(context: dg.SensorEvaluationContext, project: Project) -> dg.SensorResult | dg.SkipReason:
    """Ask for one run after any number of changes of tables of the warehouse.

    The key of the run is the number of the last change: told twice, it runs once.
    """
    from dteg.core.postgres import database_of
    from dteg.schema_changes.service import SchemaChanges

    try:
        changes, following = SchemaChanges.of(project).read(int(context.cursor or 0))
        database = database_of(project.warehouse_url())
    except DtegError as error:
        return dg.SkipReason(f"schema changes cannot be read: {error}")
    ours = [change for change in changes if change.database == database and change.table]
    first_look = context.cursor is None
    return dg.SensorResult(
        run_requests=[]
        if first_look or not ours
        else [dg.RunRequest(run_key=f"metadata-after-{ours[-1].id}", asset_selection=[cache_key(WAREHOUSE)])],
        cursor=str(following),
    )

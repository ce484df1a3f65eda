"""The component type of a folder of cron jobs: each file a schedule, and a job of its own unless it runs a pipeline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from dteg.cron.actions import (
    BackupAction,
    MetadataAction,
    PruneAction,
    RefreshDatasetAction,
    RunPipelineAction,
    VerifyBackupsAction,
)
from dteg.cron.names import CRON_TAG, schedule_name
from dteg.cron.spec import CronSpec, cron_files, load_job
from orchestration.lib.backups import backup_job, database_backups, verify_backups
from orchestration.lib.broken import FileKind, file_definitions
from orchestration.lib.building import ProjectComponent
from orchestration.lib.failures import dagster_failures, tell

PIPELINES = "pipelines"
CRON_FILE = FileKind(
    "cron_configuration",
    "check_cron_configuration",
    ("dteg_config", "cron"),
    "this job does not run",
    load_job,
)


class CronFolder(ProjectComponent):
    """Every cron job of the project's `cron/` folder: what `dteg cron add` writes.

    A file that is not valid does not keep the others from loading: it becomes the asset
    `dteg_config/cron/<name>`, whose check `valid_config` says what is wrong.

    Example:
        ```yaml
        type: orchestration.lib.CronFolder
        ```
    """

    about = "Every cron job of the project; one that is not valid becomes a failing check."
    tags = ("operations",)
    makes = ("asset", "asset_check", "job", "schedule", "sensor")

    pipelines: str = Field(
        PIPELINES, description="Folder of `defs` whose jobs `run pipeline` starts.", examples=["pipelines"]
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the definitions of all files."""
        project = Project.find()
        files = cron_files(project)
        if not files:
            return dg.Definitions()
        pipelines = context.build_defs(self.pipelines)  # loaded once, whoever asks for it
        return cron_definitions(files, project, pipelines)


def cron_definitions(files: Sequence[Path], project: Project, others: dg.Definitions) -> dg.Definitions:
    """Build the definitions of cron files, the broken ones included.

    Args:
        files: Their paths.
        project: Where they lie.
        others: The pipelines, whose jobs they may run and whose names they may not take.
    """
    jobs = {job.name for job in others.jobs or ()}
    taken = jobs | {schedule.name for schedule in others.schedules or ()}
    databases: dict[str, str] = {}

    def build(path: Path) -> dg.Definitions:
        spec, file = load_job(path, project), project.display(path)
        if schedule_name(spec.name) in taken:
            message = f"a pipeline is called {schedule_name(spec.name)!r}; choose another name"
            raise ConfigError([Problem(message, file=file)])
        part = job_definitions(spec, file, project, jobs)
        if isinstance(action := spec.parsed, BackupAction):
            databases[action.label] = action.database
        return part

    parts = file_definitions(files, project, build, CRON_FILE)
    return dg.Definitions.merge(*parts, database_backups(databases, project))


def job_definitions(spec: CronSpec, file: str, project: Project, jobs: set[str]) -> dg.Definitions:
    """Build the schedule of one job, and the job itself unless it is that of a pipeline.

    Raises:
        ConfigError: It runs a pipeline that did not load.
    """
    action = spec.parsed
    tags = {**spec.tags, CRON_TAG: spec.name}
    if isinstance(action, RunPipelineAction):
        if action.pipeline not in jobs:
            raise ConfigError(
                [Problem(f"the pipeline {action.pipeline!r} is not loaded; is its file valid?", file=file)]
            )
        return dg.Definitions(schedules=[_schedule(spec, file, tags, job_name=action.pipeline)])
    if isinstance(action, BackupAction):
        job: Any = backup_job(schedule_name(spec.name), action, spec.retry, tags)
    else:
        job = _operation(spec, action, project, tags)
    return dg.Definitions(jobs=[job], schedules=[_schedule(spec, file, tags, job_name=job.name)])


def _schedule(spec: CronSpec, file: str, tags: Mapping[str, str], *, job_name: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=schedule_name(spec.name),
        job_name=job_name,
        cron_schedule=spec.schedule,
        execution_timezone=spec.timezone,
        tags=tags,
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.enabled else dg.DefaultScheduleStatus.STOPPED,
        description=spec.description or f"{spec.action} ({file})",
    )


def _operation(
    spec: CronSpec, action: PruneAction | VerifyBackupsAction | Any, project: Project, tags: Mapping[str, str]
) -> dg.JobDefinition:
    """Return a job of one step that calls the library."""

    @dg.op(name=f"{schedule_name(spec.name)}__step", description=spec.action)
    def step(context: dg.OpExecutionContext) -> None:
        with dagster_failures(context, spec.retry, tried_before=False):
            message = operate(context, action, project)
        tell(context, message)

    @dg.job(
        name=schedule_name(spec.name),
        description=spec.description or spec.action,
        executor_def=dg.in_process_executor,
        tags=tags,
    )
    def job() -> None:
        step()

    return job


def operate(context: dg.OpExecutionContext, action: Any, project: Project) -> str:
    """Do what a job without assets does, and say in a sentence what came of it.

    Raises:
        DtegError: It failed.
    """
    if isinstance(action, PruneAction):
        from orchestration.lib.pruning import PruneOptions, prune_everything  # brings all of SQLAlchemy

        report = prune_everything(context.instance, PruneOptions(older_than=action.older_than))
        return report.summary
    if isinstance(action, VerifyBackupsAction):
        return verify_backups(context, project)
    if isinstance(action, RefreshDatasetAction):
        from orchestration.lib.user_datasets import refresh_dataset

        return refresh_dataset(context, action.dataset, project)
    if isinstance(action, MetadataAction):
        from orchestration.lib.metadata_cache import collect_metadata

        return collect_metadata(context, action.name, project)
    raise ConfigError(f"nothing runs the action {type(action).__name__}")

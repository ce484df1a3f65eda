"""Adding, starting, stopping and removing cron jobs while the project runs, and while it does not."""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from dteg.core.clock import Clock, utc_now
from dteg.core.errors import ConfigError, ConflictError, DtegError
from dteg.core.project import Project
from dteg.core.schedules import check_cron, check_timezone, describe, next_times
from dteg.cron.actions import (
    MetadataAction,
    RefreshDatasetAction,
    RunPipelineAction,
    action_text,
    parse_action,
)
from dteg.cron.files import CronFiles
from dteg.cron.models import CronJob, CronPreview, CronRun, JobState, NewCronJob
from dteg.cron.scheduler import Scheduler, StoredDagster, scheduler_of
from dteg.cron.spec import CronSpec, load_job


class CronJobs:
    """The cron jobs of a project: a file for each, and a schedule of Dagster.

    Args:
        project: Whose jobs.
        scheduler: Who runs them; default: Dagster if it runs when asked, else its storage.
        clock: The time.
    """

    def __init__(self, project: Project, scheduler: Scheduler | None = None, clock: Clock = utc_now) -> None:
        self.project = project
        self._scheduler = scheduler
        self._files = CronFiles(project)
        self._clock = clock

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return the jobs of a project."""
        return cls(project)

    @property
    def scheduler(self) -> Scheduler:
        """Who runs the jobs, asked anew each time: Dagster comes and goes."""
        return self._scheduler or scheduler_of(self.project)

    def add(self, new: NewCronJob) -> CronJob:
        """Add a job, or change it where `new.replace` allows that.

        Returns:
            The job. On any error everything is as before.

        Raises:
            ConfigError: Its action or schedule is wrong, or Dagster cannot load it.
            ConflictError: There is one of this name.
            NotFoundError: There is no such dataset or source.
            UnavailableError: Dagster is starting, and cannot be told.
        """
        spec = self._checked(new)
        path = self._files.path(spec.name)
        with self._files.alone():
            if path.exists() and not new.replace:
                raise ConflictError(
                    f"there is a cron job {spec.name!r}; change it with --replace, or choose another name"
                )
            self._change(path, spec)
        return self.get(spec.name)

    def jobs(self) -> list[CronJob]:
        """Return all jobs by name, those with a broken file included."""
        paths = self._files.paths()
        if not paths:
            return []
        scheduler = self.scheduler
        # Runs first: a scheduler that has to start a process for its answer then knows the states too.
        last = {run.job: run for run in scheduler.runs([path.stem for path in paths], 1)}
        states = scheduler.states()
        return [self._job(path, scheduler, states, last) for path in paths]

    def outline(self) -> list[CronJob]:
        """Return all jobs as their files say, without asking Dagster: whether they run is what it would find."""
        return [self._job(path, StoredDagster(self.project), {}, {}) for path in self._files.paths()]

    def get(self, job: str) -> CronJob:
        """Return one job.

        Raises:
            NotFoundError: There is no such job.
        """
        path = self._files.find(job)
        scheduler = self.scheduler
        last = {run.job: run for run in scheduler.runs([path.stem], 1)}
        return self._job(path, scheduler, scheduler.states(), last)

    def start(self, jobs: Sequence[str] | None = None) -> list[CronJob]:
        """Start jobs; all that are valid if none are named.

        Raises:
            NotFoundError: There is no such job; then none was started.
            ConfigError: The file of a named job is broken.
        """
        return self._switch(jobs, on=True)

    def stop(self, jobs: Sequence[str] | None = None) -> list[CronJob]:
        """Stop jobs; all that are valid if none are named. What runs now runs to its end.

        Raises:
            NotFoundError: There is no such job; then none was stopped.
            ConfigError: The file of a named job is broken.
        """
        return self._switch(jobs, on=False)

    def remove(self, job: str) -> None:
        """Stop a job and delete its file.

        Raises:
            NotFoundError: There is no such job.
            DtegError: Dagster cannot be told; then the job is as before.
        """
        with self._files.alone():
            path = self._files.find(job)
            scheduler = self.scheduler
            was_on = scheduler.states().get(path.stem, False)
            scheduler.switch([path.stem], on=False)
            try:
                with self._files.restored_on_error(path):
                    self._files.remove(path)
                    scheduler.reload()
            except DtegError:
                with contextlib.suppress(DtegError):
                    scheduler.reload()
                    scheduler.switch([path.stem], on=was_on)
                raise

    def history(self, job: str | None = None, limit: int = 20) -> list[CronRun]:
        """Return the last runs of a job, or of all jobs, newest first.

        Raises:
            NotFoundError: There is no such job.
        """
        names = [self._files.find(job).stem] if job else [path.stem for path in self._files.paths()]
        return self.scheduler.runs(names, limit)[:limit]

    def preview(self, schedule: str, timezone: str = "UTC", count: int = 5) -> CronPreview:
        """Say a schedule in words, and when it would run next.

        Raises:
            ConfigError: It is no cron expression, or the zone is unknown.
        """
        try:
            check_cron(schedule)
            check_timezone(timezone)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        times = next_times(schedule, timezone, self._clock(), count)
        return CronPreview(words=describe(schedule), next_at=times, timezone=timezone)

    def _checked(self, new: NewCronJob) -> CronSpec:
        action = parse_action(new.action)
        if isinstance(action, RunPipelineAction):
            self._require_pipeline(action.pipeline)
        if isinstance(action, RefreshDatasetAction):
            self._require_dataset(action.dataset)
        if isinstance(action, MetadataAction):
            self._require_source(action.name)
        values = {
            "name": new.name, "schedule": new.schedule, "timezone": new.timezone, "enabled": new.enabled,
            "action": action_text(action), "description": new.description,
        }  # fmt: skip
        return CronSpec.model_validate({name: value for name, value in values.items() if value != ""})

    def _require_dataset(self, name: str) -> None:
        from dteg.datasets.service import Datasets

        Datasets.of(self.project).get(name)

    def _require_source(self, name: str) -> None:
        from dteg.sources.models import WAREHOUSE
        from dteg.sources.service import Sources

        if name != WAREHOUSE:
            Sources.of(self.project).get(name)

    def _require_pipeline(self, name: str) -> None:
        from dteg.pipelines.plan import find_pipeline_file, load_pipeline

        found = load_pipeline(find_pipeline_file(name, self.project), self.project).name
        if found != name:
            raise ConfigError(f"the pipeline in {name} is called {found!r}; write: run pipeline {found}")

    def _change(self, path: Path, spec: CronSpec) -> None:
        """Write a file and have it taken up, or leave everything as before."""
        scheduler = self.scheduler
        try:
            with self._files.restored_on_error(path):
                self._files.write(spec)
                scheduler.take_up(spec)
        except DtegError:
            # Dagster has seen the file that is gone now. Where it cannot load at all, it could not before either.
            with contextlib.suppress(DtegError):
                scheduler.reload()
            raise

    def _switch(self, jobs: Sequence[str] | None, *, on: bool) -> list[CronJob]:
        with self._files.alone(), contextlib.ExitStack() as files:
            specs = self._all_valid() if jobs is None else [self._load(self._files.find(job)) for job in jobs]
            for spec in specs:
                path = self._files.path(spec.name)
                files.enter_context(self._files.restored_on_error(path))
                if spec.enabled is not on:
                    self._files.switch(path, spec, on=on)
            self.scheduler.switch([spec.name for spec in specs], on=on)
        names = {spec.name for spec in specs}
        return [job for job in self.jobs() if job.id in names]

    def _all_valid(self) -> list[CronSpec]:
        specs = []
        for path in self._files.paths():
            with contextlib.suppress(DtegError):
                specs.append(self._load(path))
        return specs

    def _load(self, path: Path) -> CronSpec:
        return load_job(path, self.project)

    def _job(
        self, path: Path, scheduler: Scheduler, states: dict[str, bool], last: dict[str, CronRun]
    ) -> CronJob:
        name = path.stem
        file = self.project.display(path)
        try:
            spec = self._load(path)
        except DtegError as error:
            return CronJob(
                id=name, state=JobState.BROKEN, file=file, last_run=last.get(name), problem=str(error)
            )
        unknown = scheduler.knows_all and name not in states
        on = states.get(name, spec.enabled) and not unknown
        return CronJob(
            id=name,
            schedule=spec.schedule,
            timezone=spec.timezone,
            action=spec.action,
            description=spec.description,
            state=JobState.RUNNING if on else JobState.STOPPED,
            file=file,
            next_at=self._next(spec) if on else None,
            last_run=last.get(name),
            problem=f"Dagster has not loaded this file yet; dteg cron start {name} makes it"
            if unknown
            else "",
        )

    def _next(self, spec: CronSpec) -> datetime | None:
        times = next_times(spec.schedule, spec.timezone, self._clock(), 1)
        return times[0] if times else None

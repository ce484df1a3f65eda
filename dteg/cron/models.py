"""Cron jobs as people and programs see them."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.schedules import CronText, TimezoneText
from dteg.cron.spec import NAME_PATTERN


class JobState(StrEnum):
    """Whether a job runs by the clock."""

    RUNNING = "running"
    STOPPED = "stopped"
    BROKEN = "broken"
    """Its file is not valid: it does not run."""


class RunState(StrEnum):
    """What became of one run."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    NOT_STARTED = "not_started"
    """Its time came, but no run could be started."""


class NewCronJob(ConfigModel):
    """A job to add."""

    name: str = Field(pattern=NAME_PATTERN, description="Name and id: small letters, digits and _.")
    schedule: CronText = Field(description="Cron expression with five fields.")
    action: str = Field(
        min_length=1, max_length=2000, description="What it does, such as `backup my_database`."
    )
    timezone: TimezoneText = Field("UTC", description="Time zone of the schedule.")
    description: str = Field("", max_length=2000, description="A sentence for people.")
    enabled: bool = Field(True, description="Whether it runs from now on.")
    replace: bool = Field(False, description="Whether a job of this name may be there already.")


class CronRun(ConfigModel):
    """One time that a job ran, or should have."""

    job: str = Field(description="Id of the job.")
    state: RunState = Field(description="What became of it.")
    at: datetime = Field(description="When it began, or should have, UTC.")
    duration_s: float | None = Field(None, description="Seconds it took; none until it has ended.")
    run_id: str = Field("", description="Dagster's run; empty if none was started.")
    message: str = Field("", description="What it did, or why it failed.")


class CronJob(ConfigModel):
    """One job."""

    id: str = Field(description="Id: its name.")
    schedule: str = Field("", description="Cron expression.")
    timezone: str = Field("UTC", description="Time zone of the schedule.")
    action: str = Field("", description="What it does.")
    description: str = Field("", description="A sentence for people.")
    state: JobState = Field(description="Whether it runs by the clock.")
    file: str = Field(description="Its file, relative to the project.")
    next_at: datetime | None = Field(None, description="When it runs next, UTC; none while it is stopped.")
    last_run: CronRun | None = Field(None, description="What became of it last time.")
    problem: str = Field("", description="What is wrong with its file.")


class CronPreview(ConfigModel):
    """What a schedule means."""

    words: str = Field(description="The schedule in words.")
    next_at: list[datetime] = Field(description="The next times, UTC.")
    timezone: str = Field(description="Time zone of the schedule.")

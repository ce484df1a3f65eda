"""How every component, job, schedule and sensor of the project is built; what is special about each is said where it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

Look = Callable[[dg.SensorEvaluationContext], dg.SensorResult | dg.SkipReason]


class ProjectComponent(dg.Component, dg.Resolvable, dg.Model):
    """A component type of ours.

    Attributes:
        about: What it is, for lists of component types.
        tags: What it belongs to.
        makes: Kinds of definitions that come of it.
    """

    about: ClassVar[str]
    tags: ClassVar[Sequence[str]]
    makes: ClassVar[Sequence[str]]

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Say what it is and makes."""
        return dg.ComponentTypeSpec(description=cls.about, tags=["dteg", *cls.tags], produces=list(cls.makes))


def assets_job(
    name: str,
    keys: Sequence[dg.AssetKey],
    description: str | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> UnresolvedAssetJobDefinition:
    """Return a job that makes assets, in one process: one for each step would cost seconds of imports for milliseconds."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        description=description,
        tags=tags,
        metadata=metadata,
        executor_def=dg.in_process_executor,
    )


def job_schedule(
    job: UnresolvedAssetJobDefinition,
    cron: str,
    timezone: str,
    description: str,
    *,
    enabled: bool = True,
    request: Callable[..., dg.RunRequest] | None = None,
) -> dg.ScheduleDefinition:
    """Return the schedule of a job, which runs from the start unless it is not enabled.

    Args:
        job: What runs.
        cron: Expression of five fields.
        timezone: In which it is read.
        description: For people.
        enabled: Whether it runs.
        request: Makes of a tick the run of its time; without it every tick is a run.
    """
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if enabled else dg.DefaultScheduleStatus.STOPPED,
        description=description,
        execution_fn=request,
    )


def running_sensor(
    name: str,
    every_s: int,
    look: Look,
    description: str,
    jobs: Sequence[Any] = (),
    *,
    enabled: bool = True,
) -> dg.SensorDefinition:
    """Return a sensor, which runs from the start unless it is not enabled.

    Args:
        name: Its name.
        every_s: Seconds between two looks.
        look: Looks, and says what is to be done.
        description: For people.
        jobs: What it may run.
        enabled: Whether it runs.
    """

    @dg.sensor(
        name=name,
        jobs=list(jobs) or None,
        minimum_interval_seconds=every_s,
        default_status=dg.DefaultSensorStatus.RUNNING if enabled else dg.DefaultSensorStatus.STOPPED,
        description=description,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return look(context)

    return sensor

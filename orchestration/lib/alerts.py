"""Reports to alerts what happens in Dagster, by reading its event log with a cursor of its own.

Why not Dagster's run-failure sensors: a failed check that blocks nothing fails no run, so they never see it; they
take one event at a time and fall behind; and nobody hears of a schedule or sensor that fails itself.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.events.log import EventLogEntry
from dagster._core.scheduler.instigation import TickStatus
from pydantic import Field

from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.cron.names import CRON_TAG, MESSAGE_TAG, schedule_name
from orchestration.lib.building import ProjectComponent, running_sensor
from orchestration.lib.user_checks import RESULTS

if TYPE_CHECKING:
    from dteg.alerts import Occurrence

REPORTER = "report_to_alerts"
DELIVERER = "deliver_alerts"
BATCH = 200
# On PostgreSQL an event gets its number before it is committed: one with a smaller number may become visible
# after one with a greater. What is younger than this waits for the next look.
HOLD_BACK_S = 5.0
MAX_MESSAGE = 2000
_TYPES = (
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.FRESHNESS_STATE_CHANGE,
)


class AlertsSensors(ProjectComponent):
    """Reports runs, checks, freshness and failed ticks to alerts, and delivers what waits.

    Example:
        ```yaml
        type: orchestration.lib.AlertsSensors
        attributes:
          every_s: 30
        ```
    """

    about = "Sensors that report what happens in Dagster to alerts, and deliver them."
    tags = ("operations",)
    makes = ("sensor",)

    every_s: int = Field(30, ge=5, description="Seconds between two looks.", examples=[30])

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the sensors."""
        project = Project.find()
        return dg.Definitions(
            sensors=[reporting_sensor(project, self.every_s), delivering_sensor(project, self.every_s)]
        )


@dataclass
class Cursor:
    """How far the log was read.

    Attributes:
        events: Number of the last event of each type.
        ticks_at: Time of the last failed tick, as a Unix time.
        failing: Schedules and sensors whose last tick failed, by selector.
    """

    events: dict[str, int] = field(default_factory=dict)
    ticks_at: float = 0.0
    failing: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, text: str | None, instance: dg.DagsterInstance, now: float) -> "Cursor":
        """Read a cursor. A first look begins now: nobody wants to hear of last year."""
        if text:
            return cls(**json.loads(text))
        newest = instance.event_log_storage.get_maximum_record_id() or 0
        return cls(dict.fromkeys((type_.value for type_ in _TYPES), newest), now)

    def to_text(self) -> str:
        """Return it as Dagster keeps it."""
        return json.dumps(asdict(self))


def reporting_sensor(project: Project, every_s: int) -> dg.SensorDefinition:
    """Return the sensor that reports."""
    return running_sensor(
        REPORTER,
        every_s,
        lambda context: report_since(context, project),
        "Reports runs, checks, freshness and failed ticks to alerts.",
    )


def delivering_sensor(project: Project, every_s: int) -> dg.SensorDefinition:
    """Return the sensor that delivers; apart, because a channel that hangs must not hold up what is reported."""
    return running_sensor(
        DELIVERER, every_s, lambda _context: _deliver(project), "Delivers alerts where no studio does."
    )


def _deliver(project: Project) -> dg.SkipReason:
    from dteg.alerts.service import Alerts

    try:
        sent = Alerts.of(project).deliver()
    except DtegError as error:
        return dg.SkipReason(f"alerts cannot be delivered: {error}")
    if sent is None:
        return dg.SkipReason("another process delivers")
    return dg.SkipReason(f"{sent.delivered} delivered, {sent.failed} failed, {sent.given_up} given up")


def report_since(
    context: dg.SensorEvaluationContext, project: Project, now: float | None = None
) -> dg.SensorResult | dg.SkipReason:
    """Report what happened since the last look.

    The cursor moves only once the reports are committed. A crash between reports them again, which alerts take
    as one more sign of the same matter.
    """
    now = time.time() if now is None else now
    cursor = Cursor.of(context.cursor, context.instance, now)
    found = [*_events(context.instance, cursor, now - HOLD_BACK_S), *_ticks(context.instance, cursor)]
    if found:
        try:
            _report(project, found)
        except DtegError as error:
            return dg.SkipReason(f"{len(found)} reports wait: {error}")
    return dg.SensorResult(
        cursor=cursor.to_text(), skip_reason=f"{len(found)} reported" if found else "nothing happened"
    )


def _report(project: Project, found: "list[Occurrence]") -> None:
    from dteg.alerts import report
    from dteg.core.control import session

    with session(project, "alerts") as connection, connection.transaction():
        report(project, *found, connection=connection)


def _events(instance: dg.DagsterInstance, cursor: Cursor, until: float) -> "Iterator[Occurrence]":
    """Yield what events of the log tell, and move the cursor."""
    for type_ in _TYPES:
        after = cursor.events.get(type_.value, 0)
        entries = instance.event_log_storage.get_logs_for_all_runs_by_log_id(after, type_, BATCH)
        for number, entry in sorted(entries.items()):
            if entry.timestamp > until:
                break
            cursor.events[type_.value] = number
            if entry.dagster_event is not None:
                yield from _told(instance, entry)


def _told(instance: dg.DagsterInstance, entry: EventLogEntry) -> "Iterator[Occurrence]":
    event = entry.get_dagster_event()
    if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        yield from check_occurrences(event.asset_check_evaluation_data, entry)
    elif event.event_type == dg.DagsterEventType.FRESHNESS_STATE_CHANGE:
        yield freshness_occurrence(event.asset_freshness_state_change_data, entry)
    elif run := instance.get_run_by_id(entry.run_id):
        yield from run_occurrences(instance, run, entry)


def check_occurrences(check: Any, entry: EventLogEntry) -> "Iterator[Occurrence]":
    """Return what one evaluation of a check tells, whether it blocks anything or not.

    That of a dataset which somebody made stands for several checks, which are told of as the studio tells of them.
    """
    results = check.metadata.get(RESULTS) if check.partition else None
    if results is None:
        yield _check_occurrence(check, entry, check.check_name, check.description, passed=check.passed)
        return
    for record in results.records:
        found = record.data
        yield _check_occurrence(check, entry, found["check"], found["message"], passed=found["passed"])


def _check_occurrence(
    check: Any, entry: EventLogEntry, name: str, why: str | None, *, passed: bool
) -> "Occurrence":
    from dteg.alerts import Severity
    from dteg.alerts.occurrences import check_occurrence

    table = ".".join(check.asset_key.path)
    if check.partition:  # `ds_user` has the partition `sales`, which others call `ds.sales`
        table = f"{table.removesuffix('_user')}.{check.partition}"
    failed = Severity.ERROR if check.severity == dg.AssetCheckSeverity.ERROR else Severity.WARNING
    result = "passed" if passed else f"failed: {why or 'no reason given'}"
    details = {"run_id": entry.run_id}
    return check_occurrence(
        table, name, result, passed=passed, severity=failed, details=details, at=_at(entry)
    )


def freshness_occurrence(change: Any, entry: EventLogEntry) -> "Occurrence":
    """Return what a change of a table's freshness tells."""
    from dteg.alerts import Kind, Occurrence, Severity, State

    table = ".".join(change.key.path)
    now, before = change.new_state.value, change.previous_state.value
    late = {"FAIL": Severity.ERROR, "WARN": Severity.WARNING}
    words = {"FAIL": "is too old", "WARN": "grows old", "PASS": "is fresh"}
    return Occurrence(
        kind=Kind.FRESHNESS,
        subject=table,
        message=f"{table} {words.get(now, f'has unknown freshness ({now.lower()})')}",
        state=State.FIRING if now in late else State.RESOLVED,
        severity=late.get(now, Severity.INFO),
        at=_at(entry),
        details={"table": table, "state": now.lower(), "before": before.lower()},
    )


def run_occurrences(
    instance: dg.DagsterInstance, run: dg.DagsterRun, entry: EventLogEntry
) -> "Iterator[Occurrence]":
    """Yield what the end of a run tells: of its job, and of the cron job that started it."""
    from dteg.alerts import Kind, Occurrence, Severity, State

    states = {
        dg.DagsterRunStatus.SUCCESS: (State.RESOLVED, Severity.INFO, "succeeded"),
        dg.DagsterRunStatus.CANCELED: (State.EVENT, Severity.WARNING, "was cancelled"),
    }
    state, severity, word = states.get(run.status, (State.FIRING, Severity.ERROR, "failed"))
    details = _run_details(instance, run)
    reason = _reason(instance, run) if state is State.FIRING else run.tags.get(MESSAGE_TAG, "")
    subjects = {Kind.RUN: _subject(run)}
    if CRON_TAG in run.tags:
        subjects[Kind.CRON] = run.tags[CRON_TAG]
    for kind, subject in subjects.items():
        message = (
            f"{'cron job ' if kind is Kind.CRON else ''}{subject} {word}{f': {reason}' if reason else ''}"
        )
        yield Occurrence(
            kind=kind, subject=subject, message=message[:MAX_MESSAGE], state=state, severity=severity, at=_at(entry), details=details,
        )  # fmt: skip


def _subject(run: dg.DagsterRun) -> str:
    """Return the job's name; of a run of hand-picked assets, theirs."""
    if not run.job_name.startswith("__"):
        return run.job_name
    keys = sorted(".".join(key.path) for key in run.asset_selection or ())
    return ", ".join(keys)[:500] or run.job_name


def _run_details(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, Any]:
    record = instance.get_run_record_by_id(run.run_id)
    details: dict[str, Any] = {"run_id": run.run_id, "job": run.job_name, "status": run.status.value.lower()}
    if record and record.start_time and record.end_time:
        details["duration_s"] = round(record.end_time - record.start_time, 3)
    loads = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for name, key in (
        ("rows_loaded", "rows_written"),
        ("rows_read", "rows_read"),
        ("rows_rejected", "rows_rejected"),
    ):
        values = [_number(load.event_log_entry, key) for load in loads]
        if any(value is not None for value in values):
            details[name] = sum(value or 0 for value in values)
    return details


def _number(entry: EventLogEntry, key: str) -> int | None:
    materialization = entry.asset_materialization
    value: Mapping[str, Any] = materialization.metadata if materialization else {}
    found = getattr(value.get(key), "value", None)
    return found if isinstance(found, int) else None


def _reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return why a run failed: what its first failed step says, else what Dagster says."""
    failures = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    for record in failures:
        data = record.event_log_entry.get_dagster_event().step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return str(data.user_failure_data.description)
        if data.error:
            return str(data.error.message).strip().splitlines()[-1]
    ends = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    texts = [record.event_log_entry.get_dagster_event().message for record in ends]
    return next((text.strip() for text in texts if text), "its log tells why")


def _ticks(instance: dg.DagsterInstance, cursor: Cursor) -> "Iterator[Occurrence]":
    """Yield schedules and sensors that fail themselves, of which no run tells, and those that no longer do."""
    after = cursor.ticks_at
    for instigator in instance.all_instigator_state():
        where = instigator.instigator_origin_id, instigator.selector_id
        failed = instance.get_ticks(*where, after=after, limit=BATCH, statuses=[TickStatus.FAILURE])
        for tick in failed:
            cursor.ticks_at = max(cursor.ticks_at, tick.timestamp)
        if failed:
            yield tick_occurrence(instigator, failed[0])
            cursor.failing = [*{*cursor.failing, instigator.selector_id}]
        elif instigator.selector_id in cursor.failing:
            latest = instance.get_ticks(*where, limit=1)
            if latest and latest[0].status in (TickStatus.SUCCESS, TickStatus.SKIPPED):
                yield tick_occurrence(instigator, latest[0])
                cursor.failing.remove(instigator.selector_id)


def tick_occurrence(instigator: Any, tick: Any) -> "Occurrence":
    """Return what a tick tells: that a schedule or sensor fails, or no longer does."""
    from dteg.alerts import Kind, Occurrence, Severity, State

    name = instigator.instigator_name.removeprefix(schedule_name(""))
    failed = tick.status == TickStatus.FAILURE
    reason = tick.error.message.strip().splitlines()[-1] if tick.error else "no reason given"
    return Occurrence(
        kind=Kind.CRON,
        subject=name,
        message=f"{name} could not start a run: {reason}"[:MAX_MESSAGE] if failed else f"{name} works again",
        state=State.FIRING if failed else State.RESOLVED,
        severity=Severity.ERROR if failed else Severity.INFO,
        at=datetime.fromtimestamp(tick.timestamp, UTC),
        details={"tick": str(tick.tick_id), "kind": instigator.instigator_type.value.lower()},
        dedupe_key=f"tick:{instigator.instigator_name}",
    )


def _at(entry: EventLogEntry) -> datetime:
    return datetime.fromtimestamp(entry.timestamp, UTC)

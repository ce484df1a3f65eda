"""What a run of a pipeline tells, and telling it: for runs outside of Dagster, which has a sensor of its own.

A check is called as Dagster's sensor calls it, so it is one matter whoever ran it.
"""

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dteg.alerts.models import Kind, Occurrence, Severity, State
from dteg.alerts.occurrences import check_occurrence, report
from dteg.core.errors import DtegError, InputError, PermanentError, RecordError, TransientError
from dteg.core.secrets import redact
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import Pipeline
from dteg.pipelines.results import RunResult, StreamResult, TransformResult

_LOG = logging.getLogger(__name__)
_MAX_MESSAGE = 1000
# How long the end of a run waits for channels: some seconds, for a person may wait for the run.
_ROUND_S, _MESSAGE_S = 5.0, 10.0
_SEVERITIES = {"error": Severity.ERROR, "warn": Severity.WARNING}


@dataclass
class Told:
    """A run that is told of when it ends.

    Attributes:
        pipeline: Which.
        run_id: Identity of the run.
        step: What it does now, in words.
        result: What came of it, when it ended by itself.
    """

    pipeline: Pipeline
    run_id: str
    step: str = ""
    result: RunResult | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def duration_s(self) -> float:
        """Seconds since it began."""
        return round(time.monotonic() - self.started, 3)

    def listener(self, inner: Listener) -> Listener:
        """Return a listener that also remembers the step."""
        return StepListener(self, inner)


@contextmanager
def telling(pipeline: Pipeline, run_id: str) -> Iterator[Told]:
    """Tell of the run in the `with`, if anybody wants to know; whatever happens here, the run's end is as it is."""
    told = Told(pipeline, run_id)
    try:
        yield told
    except DtegError as error:
        _tell(told, [failed_run(told, error)])
        raise
    except Exception as error:
        if told.result is None:
            _tell(told, [failed_run(told, DtegError(f"unexpected {type(error).__name__}"))])
        else:  # it has succeeded, and only its output has no reader
            _tell(told, list(occurrences_of(told, told.result)))
        raise
    if told.result is not None:
        _tell(told, list(occurrences_of(told, told.result)))


def _tell(told: Told, found: list[Occurrence]) -> None:
    from dteg.alerts.service import Alerts

    project = told.pipeline.project
    try:
        if report(project, *found):  # else the warehouse is away, which has been said
            Alerts.of(project).deliver(message_s=_MESSAGE_S, round_s=_ROUND_S)
    except DtegError as error:
        _LOG.warning("alerts cannot be delivered: %s", error)
    except Exception as error:  # noqa: BLE001 - the load is done, whatever is wrong with its alerts
        _LOG.warning("alerts cannot be delivered: %s", type(error).__name__)


def occurrences_of(told: Told, result: RunResult) -> Iterator[Occurrence]:
    """Yield what a run that came to its end tells: of itself, and of each of its checks."""
    blocked = [
        check.name
        for stream in result.streams
        for check in stream.checks
        if not check.passed and check.severity == "error"
    ]
    broken = [each.name for each in result.transforms if each.tests_failed or each.messages]
    reasons = [f"checks failed: {', '.join(blocked)}"] if blocked else []
    reasons += [f"failed: {', '.join(broken)}"] if broken else []
    name = told.pipeline.name
    details = {
        **_details(told), "status": "success" if result.succeeded else "failure",
        "rows_loaded": sum(stream.load.rows_written for stream in result.streams),
        "rows_read": sum(stream.load.rows_read for stream in result.streams),
        "rows_rejected": sum(stream.load.rows_rejected for stream in result.streams),
    }  # fmt: skip
    if result.succeeded:
        message = f"{name} succeeded: {details['rows_loaded']:,} rows loaded in {result.seconds:.1f} s"
        yield _run(name, message, details, State.RESOLVED, Severity.INFO)
    else:
        yield _run(name, f"{name} failed: {'; '.join(reasons)}", details, State.FIRING, Severity.ERROR)
    for stream in result.streams:
        yield from _checks(told, stream)


def failed_run(told: Told, error: DtegError) -> Occurrence:
    """Return what a run that broke off tells."""
    where = f" in {told.step}" if told.step else ""
    details = {**_details(told), "status": "failure", "step": told.step, "error": type(error).__name__}
    message = f"{told.pipeline.name} failed{where}: {reason_of(error)}"
    return _run(told.pipeline.name, message, details, State.FIRING, Severity.ERROR)


def reason_of(error: DtegError) -> str:
    """Say why, in one line that many may read: no secrets, and no values of the data, which errors quote."""
    text = redact(str(error).strip().split("\n", 1)[0])
    if isinstance(error, InputError | RecordError | PermanentError | TransientError):
        # What a server or parser quotes may be a name, but may be a value as well; the run's own output has it.
        text = re.sub(
            r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\((?=[^()]*\)=\()[^()]*\)=\([^()]*\)", "…", text
        )
    return text[:_MAX_MESSAGE]


def _checks(told: Told, stream: StreamResult) -> Iterator[Occurrence]:
    for check in stream.checks:
        failing = f"failed: {check.failing:,} of {check.total:,}" if check.total else "could not be made"
        severity = _SEVERITIES.get(check.severity, Severity.ERROR)
        details = {
            "failing": check.failing, "total": check.total, "run_id": told.run_id, "pipeline": told.pipeline.name
        }  # fmt: skip
        found = "passed" if check.passed else failing
        yield check_occurrence(
            stream.target, check.name, found, passed=check.passed, severity=severity, details=details
        )


def _details(told: Told) -> dict[str, Any]:
    return {"run_id": told.run_id, "pipeline": told.pipeline.name, "duration_s": told.duration_s}


def _run(name: str, message: str, details: dict[str, Any], state: State, severity: Severity) -> Occurrence:
    return Occurrence(
        kind=Kind.RUN,
        subject=name,
        message=message[:_MAX_MESSAGE],
        details=details,
        state=state,
        severity=severity,
    )


class StepListener(Listener):
    """Remembers what a run does, and tells another listener everything.

    Args:
        told: Where it is remembered.
        inner: The other one.
    """

    def __init__(self, told: Told, inner: Listener) -> None:
        self._told, self._inner = told, inner

    def stream_started(self, stream: str, target: str) -> None:
        """A load begins."""
        self._told.step = f"load {target}"
        self._inner.stream_started(stream, target)

    def batch_loaded(self, stream: str, rows: int, num_bytes: int) -> None:
        """Pass it on."""
        self._inner.batch_loaded(stream, rows, num_bytes)

    def bytes_relayed(self, stream: str, num_bytes: int) -> None:
        """Pass it on."""
        self._inner.bytes_relayed(stream, num_bytes)

    def retrying(self, stream: str, attempt: int, delay_s: float, error: TransientError) -> None:
        """Pass it on."""
        self._inner.retrying(stream, attempt, delay_s, error)

    def stream_finished(self, result: StreamResult) -> None:
        """Pass it on."""
        self._inner.stream_finished(result)

    def transform_started(self, name: str) -> None:
        """A transform begins."""
        self._told.step = name
        self._inner.transform_started(name)

    def transform_finished(self, result: TransformResult) -> None:
        """Pass it on."""
        self._inner.transform_finished(result)

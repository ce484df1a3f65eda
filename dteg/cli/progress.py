"""What a person sees of a run: bars on a terminal, plain lines elsewhere, and a summary."""

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from dteg.core.errors import TransientError
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import Pipeline
from dteg.pipelines.results import RunResult, StreamResult, TransformResult

LINE_EVERY_S = 5.0


class RunProgress(Listener):
    """Shows progress on standard error, so that standard output stays for results."""

    def __init__(self, pipeline: Pipeline, *, quiet: bool = False) -> None:
        """Prepare; nothing is shown yet."""
        self._console = Console(stderr=True, quiet=quiet)
        self._bars = self._console.is_terminal and not quiet
        self._quiet = quiet
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description:<28}"), BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"), TimeElapsedColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}
        self._rows: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._last_line = time.monotonic()
        self._total = len(pipeline.targets())

    def __enter__(self) -> Self:
        """Start the display."""
        if self._bars:
            self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the display."""
        if self._bars:
            self._progress.stop()

    def stream_started(self, stream: str, target: str) -> None:
        """Add a bar or a line."""
        self._rows[stream] = 0
        self._add(stream, f"load {target}")

    def batch_loaded(self, stream: str, rows: int, num_bytes: int) -> None:
        """Count rows."""
        self._rows[stream] += rows
        self._show(stream, f"{self._rows[stream]:,} rows")

    def bytes_relayed(self, stream: str, num_bytes: int) -> None:
        """Count bytes."""
        self._bytes[stream] = self._bytes.get(stream, 0) + num_bytes
        self._show(stream, f"{self._bytes[stream] >> 20:,} MiB")

    def retrying(self, stream: str, attempt: int, delay_s: float, error: TransientError) -> None:
        """Say why it waits."""
        self._line(f"{stream}: attempt {attempt} failed, next in {delay_s:.1f} s: {error}")
        self._rows[stream] = self._bytes[stream] = 0

    def stream_finished(self, result: StreamResult) -> None:
        """Finish the bar and name failed checks."""
        load = result.load
        text = (
            "had been loaded before"
            if load.already_loaded
            else f"{load.rows_read:,} read, {load.rows_written:,} written"
        )
        if load.rows_rejected:
            text += f", {load.rows_rejected:,} set aside"
        self._finish(result.stream, f"{result.target}: {text}")
        for change in result.changes:
            self._line(f"{result.target}: {change}")

    def transform_started(self, name: str) -> None:
        """Add a bar or a line."""
        self._add(name, name)

    def transform_finished(self, result: TransformResult) -> None:
        """Finish the bar."""
        self._finish(
            result.name, f"{result.name}: {result.models} models, {result.tests_passed} tests passed"
        )

    def _show(self, stream: str, detail: str) -> None:
        if self._bars:
            self._progress.update(self._tasks[stream], detail=detail)
        elif time.monotonic() - self._last_line > LINE_EVERY_S:
            self._line(f"{stream}: {detail}")

    def _add(self, key: str, description: str) -> None:
        if self._bars:
            self._tasks[key] = self._progress.add_task(description, total=None, detail="")
        else:
            self._line(description)

    def _finish(self, key: str, text: str) -> None:
        if self._bars:
            self._progress.remove_task(self._tasks[key])
        self._line(text)

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        if not self._quiet:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_result(result: RunResult) -> None:
    """Print what a run did."""
    console = Console(highlight=False, soft_wrap=True)
    for stream in result.streams:
        for check in stream.checks:
            if not check.passed:
                console.print(f"check {check.name} failed ({check.severity}): {check.message}", markup=False)
    for transform in result.transforms:
        for message in transform.messages:
            console.print(f"failed: {message}", markup=False)
    checks = [check for stream in result.streams for check in stream.checks]
    passed = sum(check.passed for check in checks) + sum(each.tests_passed for each in result.transforms)
    failed = (
        len(checks)
        - sum(check.passed for check in checks)
        + sum(each.tests_failed for each in result.transforms)
    )
    rows = sum(stream.load.rows_written for stream in result.streams)
    word = "done" if result.succeeded else "failed"
    console.print(
        f"{result.pipeline} {word}: {rows:,} rows written, {passed} checks passed, {failed} failed, {result.seconds:.1f} s",
        markup=False,
    )
    sys.stdout.flush()

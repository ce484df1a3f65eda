"""What a person sees of a run without bars: plain lines and a summary."""

import sys
import time
from typing import Self

from dteg.core.errors import TransientError
from dteg.pipelines.listener import Listener
from dteg.pipelines.results import RunResult, StreamResult, TransformResult

LINE_EVERY_S = 5.0


def progress_display(*, quiet: bool) -> "RunProgress":
    """Return bars for a terminal, lines for anything else, and nothing if it shall be quiet."""
    if quiet or not sys.stderr.isatty():
        return RunProgress(quiet=quiet)
    from dteg.cli.bars import RunBars  # Rich takes longer to import than a small load takes to run

    return RunBars()


class RunProgress(Listener):
    """Shows progress on standard error, so that standard output stays for results."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Prepare; nothing is shown yet."""
        self._quiet = quiet
        self._rows: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        """Start the display."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the display."""

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
        dbt = f"{result.models} models, {result.tests_passed} tests passed"
        self._finish(result.name, f"{result.name}: {dbt if result.name.startswith('dbt') else 'done'}")

    def _show(self, stream: str, detail: str) -> None:
        if time.monotonic() - self._last_line > LINE_EVERY_S:
            self._line(f"{stream}: {detail}")

    def _add(self, key: str, description: str) -> None:
        self._line(description)

    def _finish(self, key: str, text: str) -> None:
        self._line(text)

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        if not self._quiet:
            self._print(text)

    def _print(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def print_result(result: RunResult) -> None:
    """Print what a run did."""
    for stream in result.streams:
        for check in stream.checks:
            if not check.passed:
                print(f"check {check.name} failed ({check.severity}): {check.message}")
    for transform in result.transforms:
        for message in transform.messages:
            print(f"failed: {message}")
    checks = [check for stream in result.streams for check in stream.checks]
    passed = sum(check.passed for check in checks) + sum(each.tests_passed for each in result.transforms)
    failed = (
        len(checks)
        - sum(check.passed for check in checks)
        + sum(each.tests_failed for each in result.transforms)
    )
    rows = sum(stream.load.rows_written for stream in result.streams)
    word = "done" if result.succeeded else "failed"
    print(
        f"{result.pipeline} {word}: {rows:,} rows written, {passed} checks passed, {failed} failed, {result.seconds:.1f} s"
    )
    sys.stdout.flush()

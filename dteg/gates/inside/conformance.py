"""Runs a component's tests with the contract suite, and tells which lines ran; see `dteg.gates.conformance`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dteg.gates.inside.audit import Audit
from dteg.gates.inside.channel import start
from dteg.gates.inside.testing import pytest_arguments, record_promises

Send = Callable[[dict[str, Any]], None]
MAX_TEXT = 4_000


class Recorder:
    """A pytest plugin that tells what each test did."""

    def __init__(self, folder: Path) -> None:
        """Take the component's folder."""
        self.folder = folder
        self.tests: dict[str, dict[str, Any]] = {}
        self.problems: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep the worst outcome of set-up, call and tear-down."""
        entry = self.tests.setdefault(report.nodeid, {"outcome": ""})
        if report.failed or report.skipped or (report.when == "call" and not entry["outcome"]):
            entry["outcome"] = "failed" if report.failed else report.outcome
        if report.failed or report.skipped:
            entry["message"], entry["file"], entry["line"] = self._place(report)

    def pytest_collectreport(self, report: Any) -> None:
        """Keep what could not be imported."""
        if report.failed or report.skipped:
            message, file, line = self._place(report)
            place = {"file": file or str(report.nodeid), "line": line, "outcome": report.outcome}
            self.problems.append({"message": message, **place})

    def _place(self, report: Any) -> tuple[str, str, int | None]:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            return str(crash.message)[:MAX_TEXT], self._inside(crash.path), crash.lineno
        if isinstance(report.longrepr, tuple):
            path, line, message = report.longrepr
            return str(message)[:MAX_TEXT], self._inside(path), line
        return str(report.longrepr)[-MAX_TEXT:], "", None

    def _inside(self, path: str) -> str:
        try:
            return Path(path).relative_to(self.folder).as_posix()
        except ValueError:
            return ""


def main() -> None:
    """Measure, run, tell."""
    given, send = start()
    folder = Path("/component") / given["package"].replace(".", "/")
    sys.path.insert(0, "/component")
    import coverage
    import pytest

    sources = [str(folder / name) for name in given["sources"]]
    measured = coverage.Coverage(data_file=None, include=sources, config_file=False, messages=False)
    audit = Audit({str(folder / name) for name in given["sources"]})
    recorder, kept = Recorder(folder), record_promises()
    measured.start()
    code = pytest.main(pytest_arguments(folder, given["timeout_s"]), plugins=[recorder])
    still_on = coverage.Coverage.current() is measured and _is_tracing()
    measured.stop()
    data = measured.get_data()
    executed = {name: sorted(data.lines(str(folder / name)) or ()) for name in given["sources"]}
    send(
        {
            "kind": "result", "exit_code": int(code), "tests": recorder.tests, "problems": recorder.problems,
            "promises": {subject: sorted(names) for subject, names in kept.items()},
            "executed": executed, "tracing": still_on, "used": audit.used(folder),
        }
    )  # fmt: skip


def _is_tracing() -> bool:
    """Tell whether the tracer that was started is still in place."""
    if sys.gettrace() is not None:
        return True
    monitoring = getattr(sys, "monitoring", None)
    return bool(monitoring and monitoring.get_tool(monitoring.COVERAGE_ID))


if __name__ == "__main__":
    main()

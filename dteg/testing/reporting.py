"""A pytest plugin that writes what happened as JSON to the file that `DTEG_TEST_REPORT` names, for `dteg test`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

REPORT_VARIABLE = "DTEG_TEST_REPORT"

_COUNTS = {"passed": 0, "failed": 0, "skipped": 0}
_failures: list[dict[str, Any]] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a test; one that fails while it is set up or taken down counts as failed too."""
    if report.failed:
        _COUNTS["failed"] += 1
        _failures.append(_failure(report))
    elif report.skipped:
        _COUNTS["skipped"] += 1
    elif report.when == "call":
        _COUNTS["passed"] += 1


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Count a file that cannot be read as a failure."""
    if report.failed:
        _COUNTS["failed"] += 1
        _failures.append(
            {"test": report.nodeid, "file": report.fspath, "line": None, "message": report.longreprtext}
        )


def pytest_sessionfinish() -> None:
    """Write the report."""
    if path := os.environ.get(REPORT_VARIABLE):
        Path(path).write_text(json.dumps({**_COUNTS, "failures": _failures}), encoding="utf-8")


def _failure(report: pytest.TestReport) -> dict[str, Any]:
    """Say where the author's own file failed; a promise of the contract suite has no line there."""
    file, _, name = report.nodeid.partition("::")
    crash = getattr(report.longrepr, "reprcrash", None)
    message = crash.message if crash else report.longreprtext.strip()
    traceback = getattr(report.longrepr, "reprtraceback", None)
    places = [getattr(entry, "reprfileloc", None) for entry in getattr(traceback, "reprentries", [])]
    lines = [place.lineno for place in places if place and Path(place.path).name == Path(file).name]
    return {"test": name, "file": file, "line": lines[-1] if lines else None, "message": message}

"""Runs the tests that lie beside a component, in a process of their own, and measures what of it they reach."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dteg.core.errors import ConfigError, MissingExtraError, Problem
from dteg.manifest import MANIFEST_NAME, Manifest, read_manifest
from dteg.packages.metadata import DAGSTER_MODULE
from dteg.testing.reporting import REPORT_VARIABLE

MIN_COVERAGE = 80.0
"""Percent of the component's lines that its tests must reach; the same as in the registry."""

_INI = "[pytest]\naddopts =\n"
_COVERAGE = f"[run]\nomit =\n    */test_*.py\n    */conftest.py\n    */{DAGSTER_MODULE}.py\n"


@dataclass(frozen=True, slots=True)
class Failure:
    """One test that failed.

    Attributes:
        test: Its name.
        file: Its file.
        line: 1-based line, if it is known.
        message: What went wrong.
    """

    test: str
    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        """Render as `file:line: test: message`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.test}: {self.message}"


@dataclass(frozen=True, slots=True)
class ComponentTests:
    """What the tests of a component did.

    Attributes:
        manifest: The component.
        passed: Number of tests that passed.
        failed: Number that failed.
        skipped: Number that were skipped, such as those that need a server that is not here.
        coverage: Percent of the component's lines that were reached, tests not counted.
        missing: Lines that were not reached, by file.
        failures: What failed, in order.
        output: What pytest printed.
    """

    manifest: Manifest
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    coverage: float = 0.0
    missing: dict[str, list[int]] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    output: str = ""

    @property
    def ok(self) -> bool:
        """Whether there are tests, all of them passed, and they reach enough."""
        return not self.failed and self.passed > 0 and self.coverage >= MIN_COVERAGE


def run_component_tests(folder: Path) -> ComponentTests:
    """Check the manifest of a component and run its tests.

    No configuration of pytest above the folder counts, so that the tests do here what they do in the registry.

    Raises:
        ConfigError: dteg.yaml is not valid, or there are no tests.
        MissingExtraError: pytest is not installed.
    """
    for module in ("pytest", "pytest_cov"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("gates", "dteg test")
    manifest = read_manifest(folder / MANIFEST_NAME)
    if not any(folder.rglob("test_*.py")):
        message = f"there are no tests; write test_{manifest.name}.py beside it"
        raise ConfigError([Problem(message, file=str(folder / MANIFEST_NAME))])
    with tempfile.TemporaryDirectory(prefix="dteg-test-") as scratch:
        done = _pytest(folder, Path(scratch))
        report = _json(Path(scratch) / "report.json")
        coverage = _json(Path(scratch) / "coverage.json")
    if not report:
        message = f"pytest did not start:\n{done.stdout}{done.stderr}"
        raise ConfigError([Problem(message.strip(), file=str(folder))])
    failures = tuple(Failure(**{**each, "file": _shown(folder, each["file"])}) for each in report["failures"])
    files = coverage.get("files", {})
    missing = {
        _shown(folder, name): each["missing_lines"] for name, each in files.items() if each["missing_lines"]
    }
    percent = coverage.get("totals", {}).get("percent_covered", 0.0)
    counts = {key: report[key] for key in ("passed", "failed", "skipped")}
    return ComponentTests(
        manifest, **counts, coverage=percent, missing=missing, failures=failures, output=done.stdout
    )


def _pytest(folder: Path, scratch: Path) -> "subprocess.CompletedProcess[str]":
    (scratch / "pytest.ini").write_text(_INI)
    (scratch / "coverage.ini").write_text(_COVERAGE)
    command = [
        sys.executable, "-m", "pytest", "-q", "--color=no", "--import-mode=importlib",
        "-c", str(scratch / "pytest.ini"), "--rootdir", str(folder.parents[1]), "--confcutdir", str(folder),
        "-p", "dteg.testing.fixtures", "-p", "dteg.testing.reporting", "-p", "no:cacheprovider",
        "--basetemp", str(scratch / "tmp"),
        f"--cov={folder}", f"--cov-config={scratch / 'coverage.ini'}", f"--cov-report=json:{scratch / 'coverage.json'}",
        str(folder),
    ]  # fmt: skip
    environment = {
        **os.environ,
        REPORT_VARIABLE: str(scratch / "report.json"),
        "COVERAGE_FILE": str(scratch / "coverage"),
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _shown(folder: Path, file: str) -> str:
    """Return a path that opens from the current folder, shortened where it can be."""
    path = Path(file) if Path(file).is_absolute() else folder.parents[1] / file
    if not path.exists():
        path = Path(file).resolve()
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)

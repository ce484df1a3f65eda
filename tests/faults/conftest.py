"""Fault tests: seeded, and sized by `DTEG_FAULTS` (unset: the short version of `make test`; full: `make faults`).

What they found out is printed as one table at the end; the full version keeps it in benchmarks/results.
"""

import datetime as dt
import json
import os
import platform
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dteg.core.embedded import EmbeddedPostgres
from dteg.core.errors import EnvironmentProblemError
from tests.faults.loads import Figures, Snapshots

FULL = os.environ.get("DTEG_FAULTS") == "full"
SEED = int(os.environ.get("DTEG_SEED", "20260"))
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COLUMNS = ["case", "rows", "points", "landed", "lost", "doubled", "left_overs", "seconds", "outcome", "note"]
NUMBERS = COLUMNS[1:8]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "faults":
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def rng() -> random.Random:
    print(f"seed {SEED} (DTEG_SEED)")
    return random.Random(SEED)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., Figures]:
    """Make a line of the table; what the test changes in it later counts as well."""

    def add(case: str, **known: Any) -> Figures:
        line = Figures(case, **known)
        request.node.user_properties.append(("figures", line))
        return line

    return add


@pytest.fixture
def snapshots(postgres_server: str) -> Iterator[Snapshots]:
    made = Snapshots(postgres_server)
    yield made
    made.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server that may be killed."""
    try:
        server = EmbeddedPostgres.at(tmp_path / "server")
        server.start()
    except EnvironmentProblemError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    yield server
    server.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Turn the lines into plain dicts, told once: a report may cross to another process."""
    report = yield
    report.user_properties = [
        (name, {**value.row(), "seconds": round(call.duration, 1)} if name == "figures" else value)
        for name, value in report.user_properties
        if name != "figures" or report.when == "call"
    ]
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = [
        {**value, "outcome": report.outcome}
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", [])
        if name == "figures" and report.when == "call"
    ]
    if not lines:
        return
    lines = gathered(lines)
    terminalreporter.section("faults")
    for text in as_text(lines):
        terminalreporter.write_line(text)
    if FULL:
        write_results(lines)
        terminalreporter.write_line(f"written to {RESULTS.name}/faults.json and faults.md")


def gathered(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add up lines of the same case: those of many small tests."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        known = sums.setdefault((line["case"], line["outcome"]), {**line, **dict.fromkeys(NUMBERS, 0)})
        for name in NUMBERS:
            known[name] = max(known[name], line[name]) if name == "rows" else known[name] + line[name]
        known["seconds"] = round(known["seconds"], 1)
        known["note"] = line["note"] or known["note"]
    return sorted(sums.values(), key=lambda line: line["case"])


def as_text(lines: list[dict[str, Any]]) -> Iterator[str]:
    cells = [COLUMNS] + [[cell(line[name]) for name in COLUMNS] for line in lines]
    widths = [max(len(row[index]) for row in cells) for index in range(len(COLUMNS))]
    for row in cells:
        yield "  ".join(
            text.rjust(width) if name in NUMBERS else text.ljust(width)
            for name, text, width in zip(COLUMNS, row, widths, strict=True)
        ).rstrip()


def cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_results(lines: list[dict[str, Any]]) -> None:
    """Keep the table; a run of a part of the tests replaces only its own lines."""
    path = RESULTS / "faults.json"
    old = json.loads(path.read_text())["lines"] if path.exists() else []
    new = {line["case"] for line in lines}
    lines = sorted(
        [*lines, *(line for line in old if line["case"] not in new)], key=lambda line: line["case"]
    )
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}
    about = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "seed": SEED, "machine": machine}
    path.write_text(json.dumps({**about, "lines": lines}, indent=2) + "\n")
    intro = (
        f"`make faults` on {about['date']}, seed {SEED}, {machine['cores']} cores. `landed`: faults that hit the load in"
        " mid-work; `lost`, `doubled` and `left_overs` are counted over all points of a case."
    )
    text = [
        "# Fault tests",
        "",
        intro,
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "|".join(" ---: " if name in NUMBERS else " --- " for name in COLUMNS) + "|",
        *("| " + " | ".join(cell(line[name]) for name in COLUMNS) + " |" for line in lines),
    ]
    (RESULTS / "faults.md").write_text("\n".join([*text, ""]))

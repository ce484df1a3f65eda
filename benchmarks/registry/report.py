"""The results as JSON, and as a table of targets met and missed."""

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.registry.cases import Case
from benchmarks.registry.targets import TARGETS, Target
from benchmarks.report import machine
from benchmarks.summary import RESULTS

_PARTS = ("fastapi", "uvicorn", "uvloop", "pymongo", "tantivy", "orjson")


def write(cases: dict[str, Case | str], about: dict[str, Any], folder: Path = RESULTS) -> dict[str, Any]:
    """Write `registry.json` and `registry.md` and print the table.

    Args:
        cases: The results; a text says why a case could not run.
        about: What was measured: sizes and times.
        folder: Where to write.
    """
    found = {
        "about": {**about, "measured_at": time.strftime("%Y-%m-%d", time.gmtime())},
        "machine": machine(),
        "versions": {name: version(name) for name in _PARTS},
        "cases": {
            name: {"problem": case}
            if isinstance(case, str)
            else {"figures": case.figures, "notes": case.notes}
            for name, case in cases.items()
        },
    }
    found["targets"] = [_verdict(target, found["cases"]) for target in TARGETS]
    folder.mkdir(exist_ok=True)
    (folder / "registry.json").write_text(json.dumps(found, indent=1) + "\n")
    text = markdown(found)
    (folder / "registry.md").write_text(text)
    print(text)
    return found


def _verdict(target: Target, cases: dict[str, Any]) -> dict[str, Any]:
    value = target.value(cases)
    met = None if value is None else target.met(value)
    return {
        "case": target.case, "what": target.text, "bound": target.bound, "at_most": target.at_most, "value": value,
        "met": met, "why": "" if met else target.why,
    }  # fmt: skip


def markdown(found: dict[str, Any]) -> str:
    """Return the tables of a result."""
    lines = ["| what | target | measured | |", "|---|---|---|---|"]
    for each in found["targets"]:
        sign = "at most" if each["at_most"] else "at least"
        value = "not measured" if each["value"] is None else f"{each['value']:g}"
        verdict = {True: "met", False: "**missed**", None: "-"}[each["met"]]
        lines.append(f"| {each['what']} | {sign} {each['bound']:g} | {value} | {verdict} {each['why']} |")
    mixed = found["cases"].get("mixed", {}).get("figures", {})
    kinds = {name: value for name, value in mixed.items() if isinstance(value, dict)}
    if kinds:
        lines += ["", "| mixed load | requests | p50 ms | p99 ms | max ms |", "|---|---|---|---|---|"]
        lines += [
            f"| {name} | {each['count']} | {each['p50_ms']} | {each['p99_ms']} | {each['max_ms']} |"
            for name, each in kinds.items()
        ]
    lines += [
        "", *(f"- {name} could not run: {case['problem']}" for name, case in found["cases"].items() if "problem" in case),
        *(f"- {name}: {'; '.join(case['notes'])}." for name, case in found["cases"].items() if case.get("notes")),
        "", ", ".join(f"{name} {value}" for name, value in {**found["about"], **found["machine"], **found["versions"]}.items()),
    ]  # fmt: skip
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"

"""The results as JSON, and as a table of targets met and missed."""

import json
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.registry.cases import Case
from benchmarks.registry.targets import TARGETS, Target
from benchmarks.report import machine

_JSON = "registry.json"
_PARTS = ("fastapi", "starlette", "uvicorn", "uvloop", "pymongo", "tantivy", "orjson")


def write(
    cases: dict[str, Case | str], about: dict[str, Any], folder: Path | None, order: Sequence[str]
) -> dict[str, Any]:
    """Print the tables, and write them as `registry.md` beside `registry.json`.

    Args:
        cases: The results; a text says why a case could not run.
        about: What was measured: sizes.
        folder: Where to write; earlier results of other cases stay. None: nowhere.
        order: Names of all cases.
    """
    found: dict[str, Any] = {
        "about": about, "machine": machine(), "versions": {name: version(name) for name in _PARTS},
    }  # fmt: skip
    day = time.strftime("%Y-%m-%d", time.gmtime())
    new = {name: {**_content(case), "measured_at": day} for name, case in cases.items()}
    known = {**(_earlier(folder / _JSON, found) if folder else {}), **new}
    found["cases"] = {name: known[name] for name in order if name in known}
    found["targets"] = [_verdict(target, found["cases"]) for target in TARGETS]
    text = markdown(found)
    if folder is not None:
        folder.mkdir(exist_ok=True)
        (folder / _JSON).write_text(json.dumps(found, indent=1) + "\n")
        (folder / "registry.md").write_text(text)
    print(text)
    return found


def _content(case: Case | str) -> dict[str, Any]:
    return {"problem": case} if isinstance(case, str) else {"figures": case.figures, "notes": case.notes}


def _earlier(path: Path, now: dict[str, Any]) -> dict[str, Any]:
    """Return the cases of an earlier run, if they may stand beside those of now."""
    if not path.exists():
        return {}
    before = json.loads(path.read_text())
    if any(before.get(name) != value for name, value in now.items()):
        print("earlier results are of another machine, other versions or other sizes: they are dropped")
        return {}
    cases: dict[str, Any] = before["cases"]
    return cases


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
    gated = found["cases"].get("gate", {}).get("figures", {}).get("by_component", {})
    if gated:
        lines += ["", "| all gates | wall s | CPU s | score |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {each['wall_s']} | {each['cpu_s']} | {each['score']:g} |"
            for name, each in gated.items()
        ]
    lines += [
        "", *(f"- {name} could not run: {case['problem']}" for name, case in found["cases"].items() if "problem" in case),
        *(
            f"- {name}, {case['measured_at']}: {'; '.join(case['notes'])}."
            for name, case in found["cases"].items() if case.get("notes")
        ),
        "", ", ".join(f"{name} {value}" for name, value in {**found["about"], **found["machine"], **found["versions"]}.items()),
    ]  # fmt: skip
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"

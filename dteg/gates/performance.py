"""Gate: fast enough and small enough, against a reference in the same run on the same machine."""

from typing import Any

from dteg.gates.conformance import SERVERS
from dteg.gates.report import Finding, GateResult, decide, undecided
from dteg.gates.runner import Limits, NoSandboxError, Outcome
from dteg.gates.subject import Wheel
from dteg.manifest import MANIFEST_NAME

GATE = "performance"
TIMEOUT_S = 120

# Least share of the reference's rows per second, by kind. The reference puts each row through JSON and back in plain
# Python. A loader waits for its server, and an extractor too; `SMALL` is for a source of a few rows, where opening it
# is nearly all the time there is.
FLOORS = {"processor": 0.10, "extractor": 0.02, "loader": 0.01, "transformer": 0.001}
SMALL_FLOOR = 0.0001
MAX_SMALL_S = 2.0
"""Longest time that one read of a source of a few rows may take."""


def check(wheel: Wheel) -> GateResult:
    """Measure in the sandbox and compare."""
    manifest = wheel.manifest
    if manifest.form != "code":
        return decide(GATE, [], "no code, nothing to measure", metrics={"ratio": 1.0})
    # The wall limit ends a component that never finishes; the memory limit one that takes the machine's.
    limits = Limits(wall_s=180, cpu_s=60, memory=(manifest.resources.memory_mb << 20) + SERVERS)
    try:
        outcome = wheel.run("performance", timeout_s=TIMEOUT_S, limits=limits)
    except NoSandboxError as error:
        return undecided(GATE, error.reason, error.remedy)
    if "memory" in outcome.killed:
        finding = _finding(
            "memory", f"it {outcome.killed}", "hold less at a time, or raise resources.memory_mb"
        )
        return decide(GATE, [finding], "", log=outcome.log)
    answer = outcome.result()
    if answer is None:
        finding = _finding("performance-run", f"the measurement {outcome.trouble()}", "read the log")
        return decide(GATE, [finding], "", log=outcome.log)
    subject = f"{manifest.package}.{manifest.entry_point}"
    cases = [each for each in answer["cases"] if each["subject"].endswith(subject)]
    if not cases:
        reason = answer["skipped"].strip().splitlines()[-1:] or ["no contract case to measure with"]
        return undecided(
            GATE, f"not measured: {reason[0][:300]}", "see the gate conformance", log=outcome.log
        )
    return _judge(wheel, cases, answer["memory"] / 1e6, outcome)


def _judge(wheel: Wheel, cases: list[dict[str, Any]], memory_mb: float, outcome: Outcome) -> GateResult:
    manifest = wheel.manifest
    slowest = min(
        cases, key=lambda each: each["rows_per_s"] / each["reference_rows_per_s"] / floor_of(wheel, each)
    )
    ratio, floor = slowest["rows_per_s"] / slowest["reference_rows_per_s"], floor_of(wheel, slowest)
    findings = []
    if ratio < floor:
        message = (
            f"{slowest['rows_per_s']:,.0f} rows/s are {ratio:.4f} of the reference; {floor:g} is the least"
        )
        findings.append(_finding("too-slow", message, "work on whole columns instead of rows"))
    if slowest["small"] and slowest["seconds"] > MAX_SMALL_S:
        message = f"one use of it took {slowest['seconds']:.1f} s; {MAX_SMALL_S:g} s is the most"
        findings.append(_finding("too-slow", message, "open fewer connections, wait less"))
    if memory_mb > manifest.resources.memory_mb:
        message = f"took {memory_mb:,.0f} MB, {MANIFEST_NAME} says {manifest.resources.memory_mb}"
        findings.append(_finding("memory", message, "hold less at a time, or raise resources.memory_mb"))
    metrics = {
        "rows_per_s": round(slowest["rows_per_s"], 1),
        "reference_rows_per_s": round(slowest["reference_rows_per_s"], 1),
        "ratio": round(ratio, 6),
        "full_points_ratio": floor * 10,
        "rows": float(slowest["rows"]),
        "peak_memory_mb": round(memory_mb, 1),
        "cpu_s": round(outcome.cpu_s, 2),
    }
    kind = "on a source of a few rows, " if slowest["small"] else ""
    times = f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
    summary = f"{times} x reference ({kind}{slowest['rows_per_s']:,.0f} rows/s), {memory_mb:.0f} MB"
    return decide(GATE, findings, summary, metrics=metrics, log=outcome.log)


def floor_of(wheel: Wheel, case: dict[str, Any]) -> float:
    """Return the least share of the reference's speed for one measurement."""
    factor = wheel.reference.get(wheel.manifest.kind, 1.0)
    return factor * (SMALL_FLOOR if case["small"] else FLOORS[wheel.manifest.kind])


def _finding(rule: str, message: str, remedy: str) -> Finding:
    return Finding(rule=rule, severity="error", message=message, remedy=remedy)

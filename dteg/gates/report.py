"""What the gates say about one wheel: findings, results by gate, and the score."""

from typing import Literal

from pydantic import Field

from dteg.core.config import ConfigModel

Severity = Literal["low", "medium", "high", "error"]
Status = Literal["passed", "failed", "unknown"]

MAX_FINDINGS = 200
WEIGHTS: dict[str, float] = {
    "structure": 20,
    "security": 25,
    "conformance": 30,
    "documentation": 15,
    "performance": 10,
}
"""Points of each gate; their sum is 100. docs/concepts/gates.md explains the formula."""

PENALTY: dict[Severity, float] = {"low": 0.02, "medium": 0.1, "high": 1.0, "error": 1.0}
"""Share of a gate's points that one finding costs."""


class Finding(ConfigModel):
    """One thing to repair, or to know."""

    rule: str = Field(description="Id of the rule, such as `net-undeclared`.")
    severity: Severity = Field(description="`high` and `error` fail the gate.")
    message: str = Field(description="What is wrong.")
    file: str = Field("", description="Path inside the component.")
    line: int | None = Field(None, description="Line of the file, counted from 1.")
    remedy: str = Field("", description="What to do.")

    @property
    def fails(self) -> bool:
        """Whether the gate fails because of it."""
        return self.severity in ("high", "error")


class GateResult(ConfigModel):
    """What one gate says."""

    gate: str = Field(description="Name of the gate.")
    status: Status = Field(description="`unknown`: it could not be told, so it is not passed.")
    summary: str = Field(description="One sentence.")
    findings: list[Finding] = Field([], description="At most 200; the worst come first.")
    metrics: dict[str, float] = Field({}, description="Measured values by name; the unit is in the name.")
    duration_s: float = Field(0.0, description="Wall time of the gate.")
    log: str = Field("", description="Output of what ran, cut where it was too long.")


class GateReport(ConfigModel):
    """What all gates say about one wheel."""

    component: str = Field(description="`namespace/slug`.")
    version: str = Field(description="Its version.")
    sha256: str = Field(description="Hash of the wheel, hexadecimal.")
    ruleset: str = Field(description="Hash of rules, tools' versions and advisories.")
    environment: dict[str, str] = Field(
        {}, description="Python, dteg, sandbox and limits that were in force."
    )
    results: list[GateResult] = Field(description="One of each gate that ran.")
    score: float = Field(ge=0, le=100, description="See docs/concepts/gates.md.")
    passed: bool = Field(description="Whether every required gate ran and passed.")


def decide(gate: str, findings: list[Finding], summary: str, **more: object) -> GateResult:
    """Return the result of a gate whose work was done: failed if a finding is `high` or `error`."""
    order: dict[str, int] = {"error": 0, "high": 1, "medium": 2, "low": 3}
    ranked = sorted(findings, key=lambda each: (order[each.severity], each.file, each.line or 0))
    bad = sum(each.fails for each in ranked)
    status: Status = "failed" if bad else "passed"
    if bad:
        summary = (
            f"{bad} finding{'s' if bad > 1 else ''} to repair; {summary}" if summary else f"{bad} findings"
        )
    fields = {"gate": gate, "status": status, "summary": summary, "findings": ranked[:MAX_FINDINGS], **more}
    return GateResult.model_validate(fields)


def undecided(gate: str, reason: str, remedy: str, **more: object) -> GateResult:
    """Return the result of a gate that could not tell."""
    finding = Finding(rule=f"{gate}-unknown", severity="medium", message=reason, remedy=remedy)
    fields = {"gate": gate, "status": "unknown", "summary": reason, "findings": [finding], **more}
    return GateResult.model_validate(fields)


def score(results: list[GateResult]) -> float:
    """Return 0 to 100: the points of the passed gates, less what their findings and low coverage or speed cost."""
    return round(sum(_points(result) for result in results), 1)


def _points(result: GateResult) -> float:
    if result.status != "passed":
        return 0.0
    share = max(0.0, 1.0 - sum(PENALTY[finding.severity] for finding in result.findings))
    if result.gate == "conformance":
        share *= 0.5 + 0.5 * min(1.0, result.metrics.get("coverage_percent", 0.0) / 100)
    if result.gate == "performance":
        share *= 0.5 + 0.5 * min(
            1.0, result.metrics.get("ratio", 0.0) / result.metrics.get("full_points_ratio", 1.0)
        )
    return WEIGHTS.get(result.gate, 0.0) * share

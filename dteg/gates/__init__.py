"""The gates: what a component must prove before it is listed, here as in the registry.

run_gates(wheel, listener=print)      structure, security, conformance, documentation, performance

Code of the component runs in a sandbox only; see docs/concepts/gates.md for the rules and for what it does not stop.
"""

from dteg.gates.report import Finding, GateReport, GateResult, score
from dteg.gates.run import ruleset, run_gates
from dteg.gates.runner import Job, Limits, NoSandboxError, Outcome, Runner
from dteg.gates.sandbox import NoSandbox, Sandbox, local_runner

__all__ = [
    "Finding",
    "GateReport",
    "GateResult",
    "Job",
    "Limits",
    "NoSandbox",
    "NoSandboxError",
    "Outcome",
    "Runner",
    "Sandbox",
    "local_runner",
    "ruleset",
    "run_gates",
    "score",
]

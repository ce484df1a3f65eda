"""The gates: what a component must prove before it is listed, here as in the registry.

run_gates(wheel, listener=print)      structure, security, conformance, documentation, performance

Code of the component runs in a sandbox only; see docs/concepts/gates.md for the rules and for what it does not stop.

The names are imported when they are used: the programs in the sandbox lie in this package too, and each of them
would begin with a quarter of a second of imports that it has no use for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_MODULES = {
    "report": ("Finding", "GateReport", "GateResult", "score"),
    "run": ("ruleset", "run_gates"),
    "runner": ("Job", "Limits", "NoSandboxError", "Outcome", "Runner"),
    "sandbox": ("NoSandbox", "Sandbox", "local_runner"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dteg.gates.{_MODULE_OF[name]}"), name)

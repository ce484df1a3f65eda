"""Runs the gates over one wheel."""

import hashlib
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dteg.core.errors import ConfigError
from dteg.gates import advisories, conformance, documentation, performance, security, structure
from dteg.gates.report import GateReport, GateResult, score, undecided
from dteg.gates.runner import Limits, Runner
from dteg.gates.sandbox import Sandbox, local_runner
from dteg.gates.subject import Wheel
from dteg.manifest import REQUIRED_GATES
from dteg.packages import PackageError, inspect_wheel, unpack_wheel

_CHECKS: dict[str, Callable[[Wheel], GateResult]] = {
    "structure": structure.check,
    "security": security.check,
    "conformance": conformance.check,
    "documentation": documentation.check,
    "performance": performance.check,
}
_TOOLS = ("bandit", "coverage", "detect-secrets", "pytest", "yara-python")

Listener = Callable[[GateResult], None]


def run_gates(
    wheel: Path,
    *,
    runner: Runner | None = None,
    reference: Mapping[str, float] | None = None,
    listener: Listener = lambda _: None,
    gates: Sequence[str] = REQUIRED_GATES,
    snapshot: advisories.Snapshot | None = None,
    today: date | None = None,
) -> GateReport:
    """Run gates over one wheel; nothing of it is run outside the runner.

    Args:
        wheel: The file.
        runner: What holds the component back; by default the sandbox, or none if there is none here.
        reference: Factors on the floors of the performance gate by kind, for machines that need others.
        listener: Hears of each result at once.
        gates: Which ones, in this order.
        snapshot: Advisories; by default what `advisories.load()` finds.
        today: For expiry of waivers and age of advisories; by default today.

    Returns:
        The report; it passes only if every gate of `REQUIRED_GATES` ran and passed.

    Raises:
        ConfigError: There is no such gate, or the advisories cannot be read.
    """
    if unknown := sorted(set(gates) - _CHECKS.keys()):
        raise ConfigError(f"no gate {', '.join(unknown)}; there are: {', '.join(_CHECKS)}")
    runner = runner or local_runner()
    snapshot = snapshot or advisories.load()
    environment = {"python": platform.python_version(), "dteg": _version("dteg"), **runner.describe()}
    environment |= {"limits": Limits().shown(), "advisories": f"{snapshot.day}, {snapshot.source}"}
    rules = ruleset(snapshot)
    started = time.monotonic()
    try:
        contents = inspect_wheel(wheel)
    except PackageError as error:
        results = list(_refused(error, gates, started, listener))
        return _report(("", "", _sha256(wheel)), rules, environment, results)
    results = []
    with tempfile.TemporaryDirectory(prefix="dteg-gates-") as scratch:
        site = Path(scratch) / "site"
        unpack_wheel(wheel, site)
        installed = runner.environment.packages if isinstance(runner, Sandbox) else {}
        subject = Wheel(
            contents, site, runner, snapshot, today or datetime.now(UTC).date(), installed, reference or {}
        )
        for gate in gates:
            results.append(_timed(_CHECKS[gate], subject))
            listener(results[-1])
    manifest = contents.manifest
    name = f"{manifest.namespace}/{manifest.slug}"
    return _report((name, manifest.version, contents.sha256), rules, environment, results)


def ruleset(snapshot: advisories.Snapshot) -> str:
    """Return a hash of everything that decides: the gates' code and rules, the tools' versions, the advisories."""
    digest = hashlib.sha256(snapshot.digest.encode())
    for name in _TOOLS:
        digest.update(f"{name}=={_version(name)}\n".encode())
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".yar"):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _timed(check: Callable[[Wheel], GateResult], wheel: Wheel) -> GateResult:
    started = time.monotonic()
    try:
        result = check(wheel)
    except Exception as error:  # noqa: BLE001 - what the sandbox sends may be anything; it must not end the queue
        reason = f"the gate itself failed: {type(error).__name__}: {error}"[:500]
        result = undecided(check.__module__.rpartition(".")[2], reason, "report it to the operator")
    return result.model_copy(update={"duration_s": round(time.monotonic() - started, 3)})


def _refused(
    error: PackageError, gates: Sequence[str], started: float, listener: Listener
) -> list[GateResult]:
    results = []
    for gate in gates:
        if gate == structure.GATE:
            result = structure.refused(error)
            result = result.model_copy(update={"duration_s": round(time.monotonic() - started, 3)})
        else:
            result = undecided(
                gate, "the package was refused, so it was not opened", "see the gate structure"
            )
        results.append(result)
        listener(result)
    return results


def _report(
    identity: tuple[str, str, str], rules: str, environment: dict[str, str], results: list[GateResult]
) -> GateReport:
    passed = {result.gate for result in results if result.status == "passed"}
    return GateReport(
        component=identity[0], version=identity[1], sha256=identity[2], ruleset=rules, environment=environment, results=results,
        score=score(results), passed=passed >= set(REQUIRED_GATES),
    )  # fmt: skip


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"

"""What one component costs: its gates, and its installation when everything that it needs was fetched before."""

import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.registry.cases import Case
from benchmarks.registry.publishing import Publisher
from benchmarks.registry.running import FailedError
from dteg.signing import SigningKey

COMPONENTS = Path(__file__).parents[2] / "components"
NEW = "new component"
_NAMESPACE, _NAME = "benchmark", "tidy"
_ID = f"{_NAMESPACE}/{_NAME}-processor"


def gate(*, quick: bool = False) -> Case:
    """Run all gates once on each first-party component, as `dteg test --gates` and the registry do.

    Args:
        quick: Only on a component as `dteg create` writes it.
    """
    with tempfile.TemporaryDirectory(prefix="dteg-bench-gates-") as name:
        wheels = list(_wheels(Path(name), quick=quick))
        first_s, _, report = _gated(wheels[0][1])  # makes the base environment, if it is not there
        found = {name: _gated(wheel) for name, wheel in wheels}
    walls = {name: wall for name, (wall, _, _) in found.items()}
    slowest = max(walls, key=lambda name: walls[name])
    figures = {
        "components": len(found), "slowest_s": walls[slowest], "slowest": slowest,
        "median_s": round(statistics.median(walls.values()), 2), "first_s": first_s,
        "not_passed": sum(not each.passed for _, _, each in found.values()),
        "by_component": {
            name: {
                "wall_s": wall, "cpu_s": cpu, "score": each.score,
                "by_gate_s": {result.gate: round(result.duration_s, 2) for result in each.results},
                "status": {result.gate: str(result.status) for result in each.results},
            }
            for name, (wall, cpu, each) in sorted(found.items())
        },
    }  # fmt: skip
    sandbox = f"sandbox: {report.environment.get('sandbox', '?')}"
    return Case(
        figures, [sandbox, "each once, after a first run that makes the base environment and does not count"]
    )


def _wheels(folder: Path, *, quick: bool) -> Iterator[tuple[str, Path]]:
    """Yield a new component and those of this repository, by name."""
    from dteg.manifest import MANIFEST_NAME, read_manifest
    from dteg.packages import build_wheel

    yield NEW, Publisher(folder, SigningKey.generate(), "gated").wheel("1.0.0")
    manifests = [] if quick else sorted(COMPONENTS.rglob(MANIFEST_NAME))
    for number, path in enumerate(manifests):
        namespace = read_manifest(path).namespace or "local"
        out = folder / str(number)
        out.mkdir()
        yield f"{path.parent.parent.name}/{path.parent.name}", build_wheel(path.parent, namespace=namespace, out=out)  # fmt: skip


def _gated(wheel: Path) -> tuple[float, float, Any]:
    """Return wall and CPU time (seconds) of all gates, those of the sandbox included, and their report."""
    from dteg.gates import run_gates

    cpu, began = _cpu_s(), time.perf_counter()
    report = run_gates(wheel)
    return round(time.perf_counter() - began, 2), round(_cpu_s() - cpu, 2), report


def install(rounds: int) -> Case:
    """Install a listed component as a program, after it was installed and removed before: its wheel is in the cache.

    Everything is as a person has it: a registry with its gates, a project and an environment, commands.
    """
    from dteg.core.errors import DtegError
    from registry.trial import RegistryProcess, Workplace

    try:
        with (
            tempfile.TemporaryDirectory(prefix="dteg-bench-install-") as name,
            RegistryProcess(Path(name) / "registry") as market,
        ):
            folder = Path(name)
            _publish(Workplace(folder / "maker", market.url), market)
            user = Workplace(folder / "user", market.url, environment="bare")
            wanted = f"marketplace://{_ID}"
            first, _ = _timed(user, "install", wanted)
            walls, cpus = [], []
            for _ in range(rounds):
                user.run("uninstall", _ID)
                wall, cpu = _timed(user, "install", wanted)
                walls.append(wall)
                cpus.append(cpu)
    except DtegError as error:
        raise FailedError(str(error)) from None
    figures = {
        "median_s": round(statistics.median(walls), 2), "rounds_s": walls, "cpu_s": round(statistics.median(cpus), 2),
        "first_s": first,
    }  # fmt: skip
    return Case(figures, ["`dteg install` from its start to its end, signatures checked, receipt sent"])


def _publish(maker: Any, market: Any) -> None:
    """Make an account, a namespace with a key, and a component that passes the gates."""
    maker.log_in("bench", market.make_account("bench"))
    maker.run("namespace", "create", _NAMESPACE)
    maker.run("key", "create", _NAMESPACE)
    maker.run(
        "create",
        "processor",
        _NAME,
        "--namespace",
        _NAMESPACE,
        "--author",
        "Bench",
        "--description",
        "Trims blanks of texts",
    )
    maker.run("publish", maker.project / "components" / "processors" / _NAME)


def _timed(user: Any, *arguments: str) -> tuple[float, float]:
    """Return wall and CPU time (seconds) of a command of dteg and all that it starts."""
    cpu, began = _cpu_s(), time.perf_counter()
    user.run(*arguments)
    return round(time.perf_counter() - began, 2), round(_cpu_s() - cpu, 2)


def _cpu_s() -> float:
    """Return the CPU time of this process and of the ones it waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )

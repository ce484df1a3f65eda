"""What one component costs: its gates, and its installation when everything that it needs was fetched before."""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.registry.cases import Case
from benchmarks.registry.publishing import Publisher
from benchmarks.registry.running import FailedError
from dteg.signing import SigningKey


def gates(rounds: int) -> Case:
    """Run all gates on a new component, as `dteg test --gates` and the registry do."""
    try:
        from dteg.gates import run_gates
    except ImportError as error:
        raise FailedError(f"the gates cannot be imported: {error}") from None
    seconds, reports = [], []
    with tempfile.TemporaryDirectory(prefix="dteg-bench-gates-") as name:
        publisher = Publisher(Path(name), SigningKey.generate(), "gated")
        for number in range(rounds + 1):
            wheel = publisher.wheel(f"1.{number}.0")
            began = time.perf_counter()
            reports.append(run_gates(wheel))
            seconds.append(round(time.perf_counter() - began, 2))
    last = reports[-1]
    figures = {
        "first_s": seconds[0], "rounds_s": seconds[1:], "median_s": statistics.median(seconds[1:]),
        "passed": all(each.passed for each in reports), "score": last.score,
        "by_gate_s": {each.gate: round(each.duration_s, 2) for each in last.results},
        "status": {each.gate: each.status for each in last.results},
    }  # fmt: skip
    notes = ["a component as `dteg create` writes it", f"sandbox: {last.environment.get('sandbox', '?')}"]
    return Case(figures, [*notes, "the first run, which makes the base environment, does not count"])

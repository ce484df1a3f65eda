"""Where the wall time of `dteg run flights` goes: how much is not extract, load, checks or dbt.

Each round is a whole process on a fresh database, as a person would run it. What is left over is
start-up: the interpreter, imports, reading the pipeline file, finding components, and the exit.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dteg.testing.servers import database, embedded_postgres

ROUNDS = 5
ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "startup.json"
TARGET = 0.25


def dteg(*arguments: str, env: dict[str, str]) -> tuple[dict[str, Any], float]:
    """Run one command and return its JSON and its wall time (s)."""
    started = time.perf_counter()
    done = subprocess.run(
        [ROOT / ".venv/bin/dteg", *arguments, "--json"], check=False, env=env, capture_output=True, text=True
    )
    wall = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"dteg {' '.join(arguments)} failed: {done.stderr}")
    return json.loads(done.stdout), wall


def measure(server: str, home: Path) -> dict[str, float]:
    """Return the seconds of one cold run by phase."""
    with database(server) as url:
        env = {**os.environ, "DTEG_HOME": str(home), "DTEG_POSTGRES_URL": url}
        dteg("run", "reference", env=env)
        result, wall = dteg("run", "flights", env=env)
    stream, transform = result["streams"][0], result["transforms"][0]
    # Extract, process and load overlap: what counts is the time from opening both ends to the publish.
    phases = {"load": stream["seconds"], "check": stream["check_s"]}
    # Importing dbt is start-up too; it runs while the load waits, and only what is left counts here.
    phases["dbt"] = transform["seconds"] - transform["startup_s"]
    return {"wall": wall, **phases, "startup": wall - sum(phases.values())}


def main() -> None:
    """Measure, print a table and write the JSON."""
    with tempfile.TemporaryDirectory() as folder, embedded_postgres() as server:
        home = Path(folder)
        for name in ("pipelines", "dbt_project"):
            (home / name).symlink_to(ROOT / name)
        rounds = [measure(server, home) for _ in range(ROUNDS)]
    median = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    share = statistics.median(each["startup"] / each["wall"] for each in rounds)
    print(f"dteg run flights, cold database, median of {ROUNDS} (seconds)")
    for name, seconds in median.items():
        print(f"  {name:<8} {seconds:6.2f}")
    print(f"  start-up share of the wall time: {share:.1%} (target: under {TARGET:.0%})")
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    RESULTS.write_text(json.dumps({"machine": machine, "rounds": rounds, "share": share}, indent=2) + "\n")

"""Tables from files and back: `python -m benchmarks.tables [--rows 1000000] [--rounds 3] [--large] [--exports]`.

`dteg create` of a CSV beside `psql \\copy`, each a process of its own with its start-up, against a server that waits for the
disk, in rounds of changing order; the content of both tables is compared by a hash. `--large` also loads a file of 1 GB
and compares the memory of the client with that of a twentieth of it; `--exports` writes the table in every format.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import data, verify
from benchmarks.environments import ROOT, environment
from benchmarks.measure import Measurement, measure
from benchmarks.server import Server, running

RESULTS = Path(__file__).parent / "results" / "tables.json"
MOST_RATIO = 1.5
# lineitem has about 125 bytes in a row.
LARGE_ROWS, SMALL_ROWS = 8_200_000, 400_000
# What may differ between two runs of one size.
MOST_GROWTH = 1.15
DTEG = str(ROOT / ".venv/bin/dteg")
# A workbook takes a hundred times as long as CSV, for each of its cells is an object.
XLSX_ROWS = 100_000
FORMATS = ("csv", "jsonl", "json", "parquet", "xlsx")


def create(server: Server, home: Path, csv: Path, table: str) -> Measurement:
    """Measure `dteg create`."""
    server.execute("target", f"DROP TABLE IF EXISTS {table}", "CHECKPOINT")
    return measure([DTEG, "create", str(csv), table, "--json"], environment_of(server, home))


def copy(server: Server, home: Path, csv: Path, table: str) -> Measurement:
    """Measure `\\copy` into an empty table with the right types."""
    server.execute(
        "target", f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} ({data.DDL})", "CHECKPOINT"
    )
    command = f"\\copy {table} FROM '{csv}' WITH (FORMAT csv, HEADER)"
    return measure([str(server.psql), "-qX", "-d", "target", "-c", command], environment_of(server, home))


def environment_of(server: Server, home: Path) -> dict[str, str]:
    return {**server.environment(), "DTEG_HOME": str(home)}


def figures(done: Measurement) -> dict[str, float]:
    """Return what is kept of a measurement."""
    return {"wall_s": done.wall_s, "cpu_s": done.cpu_s, "rss_mb": done.rss_mb, "load": done.load}


def compare(server: Server, home: Path, csv: Path, rounds: int) -> list[dict[str, Measurement]]:
    """Return what each round of both took.

    Raises:
        SystemExit: The two tables differ.
    """
    found = []
    ways = {"psql": (copy, "public.by_psql"), "dteg": (create, "public.by_dteg")}
    for number in range(rounds):
        order = list(ways) if number % 2 == 0 else list(ways)[::-1]
        done = {name: ways[name][0](server, home, csv, ways[name][1]) for name in order}
        digests = {name: verify.digest(server, "target", table) for name, (_, table) in ways.items()}
        if digests["psql"] != digests["dteg"]:
            sys.exit(f"the tables differ: {digests}")
        found.append(done)
        print(
            f"round {number + 1}: psql {done['psql'].wall_s:.2f} s, dteg {done['dteg'].wall_s:.2f} s",
            flush=True,
        )
    return found


def memory(server: Server, home: Path, rows: int, generator: Any) -> tuple[float, int]:
    """Return the peak of the client's memory (MB) and the size of the file (bytes)."""
    csv = data.generate(rows, generator)
    done = create(server, home, csv, "public.by_dteg")
    size = csv.stat().st_size
    print(f"create of {size / 1e9:.2f} GB: {done.wall_s:.1f} s, {done.rss_mb:.0f} MB", flush=True)
    return done.rss_mb, size


def exports(server: Server, home: Path, folder: Path, table: str) -> dict[str, Measurement]:
    """Return what each format took."""
    found = {}
    for name in FORMATS:
        path = folder / f"out.{name}"
        rows = ["--limit", str(XLSX_ROWS)] if name == "xlsx" else []
        command = [DTEG, "export", table, name, "-o", str(path), *rows]
        found[name] = measure(command, environment_of(server, home))
        print(
            f"export as {name}: {found[name].wall_s:.1f} s, {found[name].rss_mb:.0f} MB, {path.stat().st_size / 1e6:.0f} MB",
            flush=True,
        )
        path.unlink()
    return found


def main() -> None:
    """Measure, print and write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="also a file of 1 GB")
    parser.add_argument("--exports", action="store_true", help="also write the table in every format")
    arguments = parser.parse_args()
    generator = environment("data")
    csv = data.generate(arguments.rows, generator)
    result: dict[str, Any] = {
        "machine": {"python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
        "rows": arguments.rows,
    }
    with running() as server, tempfile.TemporaryDirectory(prefix="dteg-bench-") as folder:
        home = Path(folder) / "home"
        (home / "pipelines").mkdir(parents=True)
        rounds = compare(server, home, csv, arguments.rounds)
        ratio = statistics.median(each["dteg"].wall_s / each["psql"].wall_s for each in rounds)
        print(
            f"create of {arguments.rows:,} rows takes {ratio:.2f} times \\copy (target: at most {MOST_RATIO})"
        )
        result |= {
            "ratio": ratio,
            "rounds": [{name: figures(each) for name, each in done.items()} for done in rounds],
        }
        if arguments.exports:
            found = exports(server, home, Path(folder), "public.by_dteg")
            result["exports"] = {name: figures(each) for name, each in found.items()}
        if arguments.large:
            server.execute("target", "DROP TABLE IF EXISTS public.by_psql")
            small, _ = memory(server, home, SMALL_ROWS, generator)
            large, size = memory(server, home, LARGE_ROWS, generator)
            growth = large / small
            print(
                f"memory of {size / 1e9:.2f} GB: {growth:.2f} times that of a twentieth (target: at most {MOST_GROWTH})"
            )
            result["memory"] = {"small_mb": small, "large_mb": large, "file_bytes": size}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

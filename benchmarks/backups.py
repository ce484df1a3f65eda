"""Backup and restore beside PostgreSQL's own programs: `python -m benchmarks.backups [--rows N] [--rounds N]`.

Each contestant runs as a process of its own, start-up included, against a server that is started here with fsync on.
Rounds alternate the order; a ratio is the median of the ratios within each round. The bare programs have the same
compression: `pg_dump --compress=0 | zstd -1`, and `pg_restore` of the file that pg_dump wrote itself.
"""

import argparse
import contextlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from dteg.backups.postgres import reached
from dteg.backups.programs import postgres_program
from dteg.backups.sources import with_database
from dteg.core.embedded import EmbeddedPostgres

RESULTS = Path(__file__).parent / "results"
TARGETS = {"backup": 1.15, "backup, encrypted": 1.3, "restore": 1.2}
MEMORY_MB = 200
# Like TPC-H's lineitem: numbers, dates, short words and a comment.
TABLE = """
CREATE TABLE lineitem AS SELECT
    i / 4 AS orderkey, (random() * 200000)::int AS partkey, (random() * 10000)::int AS suppkey, i % 7 AS line,
    (random() * 50)::numeric(15, 2) AS quantity, (random() * 100000)::numeric(15, 2) AS price,
    (random() / 10)::numeric(15, 2) AS discount, (array['N', 'A', 'R'])[1 + i % 3] AS flag,
    date '1992-01-01' + (random() * 2500)::int AS shipped, date '1992-01-01' + (random() * 2500)::int AS received,
    (array['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN'])[1 + (i % 4)] AS instruct,
    substr(md5(random()::text) || ' ' || md5(i::text), 1, 10 + (i % 34)) AS comment
FROM generate_series(1, %s) AS i
"""
INDEXES = (
    "ALTER TABLE lineitem ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "CREATE INDEX lineitem_part ON lineitem (partkey)",
    "CREATE INDEX lineitem_shipped ON lineitem (shipped)",
    "CREATE TABLE orders AS SELECT DISTINCT ON (orderkey) orderkey, price, shipped FROM lineitem",
    "ALTER TABLE orders ADD PRIMARY KEY (orderkey)",
    "VACUUM ANALYZE",
)


class Bench:
    """One server, one database, and what is done with it."""

    def __init__(self, folder, url, rows):
        self.folder, self.url = folder, url
        self.env = {
            **os.environ, "DTEG_POSTGRES_URL": url, "DTEG_HOME": str(folder / "project"),
            "DTEG_CONFIG_DIR": str(folder / "config"),
        }  # fmt: skip
        (folder / "project" / "pipelines").mkdir(parents=True)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
            self.major = connection.info.server_version // 10000
        self.bench = with_database(url, "bench")
        with psycopg.connect(self.bench, autocommit=True) as connection:
            connection.execute(TABLE.replace("%s", str(rows)))
            for statement in INDEXES:
                connection.execute(statement)
            self.bytes = connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]

    def prepare(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
            for name in ("bare", "ours"):
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.execute("CREATE DATABASE bare TEMPLATE template0")
        os.sync()

    def dteg(self, *words):
        code = "from dteg.cli import main; main()"
        done, used = timed([sys.executable, "-c", code, *words, "--json"], self.env)
        return json.loads(done), used

    def bare_dump(self, name):
        conninfo, env, _ = reached(self.bench)
        dump = f"{postgres_program('pg_dump', self.major)} -Fc -Z0 -d '{conninfo}' | zstd -1 -q -f -o {self.folder / name}"
        _, used = timed(["/bin/sh", "-ec", f"{dump}; sync {self.folder / name}"], {**os.environ, **env})
        return used

    def seekable_dump(self):
        conninfo, env, _ = reached(self.bench)
        program = postgres_program("pg_dump", self.major)
        timed([program, "-Fc", "-Z0", "-d", conninfo, "-f", self.folder / "bare.dump"], {**os.environ, **env})

    def bare_restore(self):
        conninfo, env, _ = reached(with_database(self.url, "bare"))
        program = postgres_program("pg_restore", self.major)
        jobs = f"--jobs={min(os.cpu_count() or 1, 4)}"
        _, used = timed([program, jobs, "-d", conninfo, self.folder / "bare.dump"], {**os.environ, **env})
        return used


def timed(command, env):
    """Run a command; return its output, wall and CPU seconds, and the peak memory of its largest process in MB."""
    program = (
        "import os, resource, subprocess, sys, time; began = time.monotonic();"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE);"
        "took = time.monotonic() - began; used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "sys.stderr.write(f'\\n{took} {used.ru_maxrss} {used.ru_utime + used.ru_stime}'); sys.stdout.buffer.write(done.stdout); sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], env=env, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed: {done.stderr.decode()}")
    seconds, peak, cpu = map(float, done.stderr.decode().rsplit("\n", 1)[1].split())
    return done.stdout, {"seconds": seconds, "memory": peak / 1024, "cpu": cpu}


def backups(bench, encrypt):
    words = ["backup", "bench", *(["--encrypt"] if encrypt else [])]
    return bench.dteg(*words)


def one_round(bench, number):
    """Return seconds, CPU, memory and the backup of each contestant."""
    found = {}
    steps = ["bare", "backup", "backup, encrypted"]
    for step in steps if number % 2 == 0 else steps[::-1]:
        bench.prepare()
        if step == "bare":
            found[step] = {**bench.bare_dump("bare.zst"), "bytes": (bench.folder / "bare.zst").stat().st_size}
        else:
            made, used = backups(bench, step != "backup")
            found[step] = {**used, "bytes": made["bytes"], "id": made["id"]}
    for step in ("bare restore", "restore") if number % 2 == 0 else ("restore", "bare restore"):
        bench.prepare()
        if step == "bare restore":
            found[step] = bench.bare_restore()
            continue
        done, used = bench.dteg("restore", found["backup"]["id"], "--into", "ours")
        compare = done["compare_seconds"]
        found[step] = {**used, "seconds": used["seconds"] - compare, "compare": compare, "rows": done["rows"]}
    print(
        f"round {number + 1}: " + ", ".join(f"{name} {each['seconds']:.1f} s" for name, each in found.items())
    )
    return found


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backups", description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dteg-bench-")))
        server = EmbeddedPostgres.at(folder / "state")
        stack.callback(server.remove)
        bench = Bench(folder, server.start(), arguments.rows)
        bench.seekable_dump()
        rounds = [one_round(bench, number) for number in range(arguments.rounds)]
        size = bench.bytes
    report(rounds, arguments.rows, size)


def report(rounds, rows, size):
    """Print the table, and keep it."""
    lines = []
    for name, target in TARGETS.items():
        bare = "bare restore" if name == "restore" else "bare"
        ratio = statistics.median(each[name]["seconds"] / each[bare]["seconds"] for each in rounds)
        cpu = statistics.median(each[name]["cpu"] / each[bare]["cpu"] for each in rounds)
        lines.append((name, f"{ratio:.2f}", f"<= {target}", "yes" if ratio <= target else "NO", f"{cpu:.2f}"))
    memory = max(each[name]["memory"] for each in rounds for name in TARGETS)
    lines.append(
        ("memory, MB", f"{memory:.0f}", f"<= {MEMORY_MB}", "yes" if memory <= MEMORY_MB else "NO", "")
    )
    print(f"\n{rows:,} rows, {size / 1e6:.0f} MB on the server, {len(rounds)} rounds, {os.cpu_count()} cores")
    for name, got, wanted, met, cpu in (("case", "x bare", "target", "met", "client's CPU"), *lines):
        print(f"{name:<20} {got:>8} {wanted:>8} {met:>5} {cpu:>13}")
    compare = statistics.median(each["restore"]["compare"] for each in rounds)
    print(f"comparing all rows after a restore: {compare:.1f} s more")
    about = {
        "rows": rows, "bytes": size, "rounds": rounds, "cores": os.cpu_count(), "python": platform.python_version(),
        "pages": resource.getpagesize(), "at": time.strftime("%Y-%m-%d", time.gmtime()),
        "lines": lines,
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "backups.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()

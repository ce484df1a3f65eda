"""Two processes run one pipeline at the same time: one waits for the other, and the result is that of one run.

How the test was seen to fail: without the lock on the target both append the same file, and the table has
every row twice. Merge is protected by its key as well.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.faults.conftest import FULL
from tests.faults.loads import (
    CHILD,
    Figures,
    environment,
    fingerprint,
    relations,
    run_to_end,
    write_pipeline,
    write_source,
)

ROWS = 300_000 if FULL else 60_000
POINTS = 10 if FULL else 1


def run_both(
    watcher: psycopg.Connection, pipeline: Path, env: dict[str, str], table: str, apart_s: float
) -> list[tuple[int, list[tuple[float, str]]]]:
    """Start two loads, hold their first row up until both are there; return what each told, and when."""
    children: list[subprocess.Popen[str]] = []
    with psycopg.connect(env["DTEG_POSTGRES_URL"]) as holder:
        holder.execute(f"LOCK TABLE {table} IN SHARE MODE")  # keeps writers out, lets readers in
        for _ in range(2):
            command = [sys.executable, "-c", _TIMED, str(CHILD), str(pipeline)]
            children.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
            time.sleep(apart_s)
        deadline = time.monotonic() + 150
        while watcher.execute(_SESSIONS).fetchone() != (2,):
            assert time.monotonic() < deadline, "the two loads did not both come to the target"
            time.sleep(0.02)
        time.sleep(1.5)
    told = []
    for child in children:
        out, _ = child.communicate(timeout=300)
        lines = [line.split() for line in out.splitlines()]
        told.append((child.returncode, [(float(at), phase) for at, phase in lines]))
    return told


_SESSIONS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dteg'
"""
# The clock of all processes is the same: each line of the child gets its time in front.
_TIMED = """
import builtins, runpy, sys, time
tell = builtins.print
builtins.print = lambda phase, **options: tell(time.monotonic(), phase, **options)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("disposition", ["append", "merge"])
@pytest.mark.timeout(900)
def test_two_runs_at_once_have_the_result_of_one(
    disposition: str,
    tmp_path: Path,
    postgres_url: str,
    rng: random.Random,
    figures: Callable[..., Figures],
) -> None:
    line = figures(f"two runs at once, {disposition}", rows=ROWS + ROWS // 10)
    env = environment(tmp_path, postgres_url)
    pipeline = write_pipeline(tmp_path, disposition)
    table = f"t.{disposition}"
    write_source(tmp_path / "source.csv", ROWS, version=1)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        run_to_end(pipeline, env)
        new, expected = fingerprint(connection, table), relations(connection)
        for _ in range(POINTS):
            connection.execute(f"TRUNCATE {table}; TRUNCATE _dteg.checkpoints, _dteg.loads")
            runs = run_both(connection, pipeline, env, table, rng.uniform(0, 0.1))
            assert [code for code, _ in runs] == [0, 0]
            line.points += 1
            line.check(connection, table, new, expected, "after two runs at once")
            written = connection.execute(
                "SELECT rows_written FROM _dteg.loads ORDER BY committed_at"
            ).fetchall()
            assert written == [(new[0],), (0,)], "the second run wrote rows again"
            spans = sorted(span(phases) for _, phases in runs)
            line.landed += spans[1][0] < spans[0][1]
            commit, copies = (
                spans[0][1],
                [at for _, phases in runs for at, phase in phases if phase == "copy"],
            )
            assert all(at <= commit for at in copies), "the second run copied rows"
    assert line.landed == POINTS, "the second run started after the first one's commit"


def span(phases: list[tuple[float, str]]) -> tuple[float, float]:
    """Return when a run started its stream and when it committed."""
    times = {phase: at for at, phase in phases}
    return times["start"], times["commit"]

"""The target server is restarted without a checkpoint (`-m immediate`) in the middle of a load, which goes on by itself.

How the test was seen to fail: with lost connections taken for permanent errors no load survives; with the
transaction of `PostgresSession.begin` ended after each batch, append loads its first rows twice.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dteg.core.embedded import EmbeddedPostgres
from dteg.core.errors import EnvironmentProblemError
from tests.faults.conftest import FULL
from tests.faults.test_kill import (
    CHILD,
    PHASES,
    environment,
    fingerprint,
    relations,
    run_to_end,
    wait_until_alone,
    write_pipeline,
    write_source,
)

ROWS = 1_000_000 if FULL else 150_000
POINTS = 20 if FULL else 3
# Recovery may take longer than four jittered waits from half a second on.
RETRY = "  retry: {max_attempts: 8, base_delay_s: 1, max_delay_s: 4}\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    try:
        server = EmbeddedPostgres.at(tmp_path / "server")
        server.start()
    except EnvironmentProblemError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    yield server
    server.remove()


def restart(server: EmbeddedPostgres) -> float:
    """Let the server die and start it again; return how long it was away."""
    started = time.monotonic()
    # The signal of `pg_ctl stop -m immediate`, without the time that pg_ctl takes to start.
    os.kill(int((server.data_dir / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    server._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(server.data_dir), check=False)
    server.stop()  # forgets that it ran
    server.start()
    return time.monotonic() - started


def restart_in(
    server: EmbeddedPostgres, pipeline: Path, env: dict[str, str], phase: str, delay_s: float
) -> tuple[list[str], float]:
    """Start a load, restart the server `delay_s` after it entered `phase`; return all that the load told."""
    child = subprocess.Popen([sys.executable, CHILD, pipeline], env=env, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == phase:
            time.sleep(delay_s)
            break
    away_s = restart(server)
    told = [phase, *child.stdout.read().split()]
    assert child.wait(timeout=120) == 0, f"the load did not get over a restart in {phase}: {told}"
    return told, away_s


@pytest.mark.parametrize("disposition", ["append", "merge"] if FULL else ["append"])
@pytest.mark.timeout(3600)
def test_a_load_gets_over_a_restart_of_the_target_by_itself(
    disposition: str, tmp_path: Path, server: EmbeddedPostgres, rng: random.Random
) -> None:
    env = environment(tmp_path, server.url())
    pipeline = write_pipeline(tmp_path, disposition)
    pipeline.write_text(pipeline.read_text().replace("  steps:\n", f"{RETRY}  steps:\n"))
    table = f"t.{disposition}"
    write_source(tmp_path / "source.csv", ROWS, version=1)
    run_to_end(pipeline, env)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        new, expected = fingerprint(connection, table), relations(connection)
    hits: Counter[str] = Counter()
    tries: Counter[int] = Counter()
    away: list[float] = []
    for point in range(POINTS):
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"TRUNCATE {table}; TRUNCATE _dteg.checkpoints")
        phase = ["copy", "publish", "start", "commit"][point % 4]
        told, seconds = restart_in(server, pipeline, env, phase, rng.uniform(0, PHASES[phase]))
        before = told[: told.index("retry")] if "retry" in told else told
        hits[before[-1]] += 1
        tries[told.count("retry") + 1] += 1
        away.append(seconds)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            wait_until_alone(connection)
            assert fingerprint(connection, table) == new, (
                f"not equal to the source after a restart in {phase}"
            )
            assert relations(connection) == expected
    print(
        f"{disposition}: {POINTS} restarts in loads of {ROWS:,} rows, last phase before: {dict(hits)};"
        f" attempts: {dict(sorted(tries.items()))}; away for {min(away):.1f} to {max(away):.1f} s"
    )
    landed = sum(count for phase, count in hits.items() if phase not in ("done", "committed"))
    assert landed >= POINTS * 2 // 3, f"too few restarts landed in mid-work: {dict(hits)}"
    if POINTS > 3:
        assert len([phase for phase in hits if phase in PHASES]) >= 3, f"phases that were hit: {dict(hits)}"

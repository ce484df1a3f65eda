"""The target server is restarted without a checkpoint (`-m immediate`) in the middle of a load, which goes on by itself.

How the test was seen to fail: with lost connections taken for permanent errors no load survives; with the
transaction of `PostgresSession.begin` ended after each batch, append loads its first rows twice.
"""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from dteg.core.embedded import EmbeddedPostgres
from tests.faults.conftest import FULL
from tests.faults.loads import (
    Figures,
    connected,
    environment,
    fingerprint,
    relations,
    restart,
    run_to_end,
    strike_in,
    write_pipeline,
    write_source,
)
from tests.faults.test_kill import PHASES

ROWS = 1_000_000 if FULL else 100_000
POINTS = 10 if FULL else 2
CYCLE = ["copy", "publish", "start", "commit"] if FULL else ["copy", "commit"]


@pytest.mark.parametrize("disposition", ["append", "merge"] if FULL else ["append"])
@pytest.mark.timeout(1800)
def test_a_load_gets_over_a_restart_of_the_target_by_itself(
    disposition: str,
    tmp_path: Path,
    own_server: EmbeddedPostgres,
    rng: random.Random,
    figures: Callable[..., Figures],
) -> None:
    """With the default retries."""
    line = figures(f"restart -m immediate, {disposition}", rows=ROWS)
    env = environment(tmp_path, own_server.url())
    pipeline = write_pipeline(tmp_path, disposition)
    table = f"t.{disposition}"
    write_source(tmp_path / "source.csv", ROWS, version=1)
    run_to_end(pipeline, env)
    with connected(own_server.url()) as connection:
        new, there = fingerprint(connection, table), relations(connection)
    hits: Counter[str] = Counter()
    attempts: list[int] = []
    away: list[float] = []
    for point in range(POINTS):
        with connected(own_server.url()) as connection:
            connection.execute(f"TRUNCATE {table}; TRUNCATE _dteg.checkpoints")
        phase = CYCLE[point % len(CYCLE)]
        code, told = strike_in(
            pipeline, env, phase, rng.uniform(0, PHASES[phase]), lambda _: away.append(restart(own_server)),
            hold_s=2 if point // len(CYCLE) % 2 == 0 else 0,
        )  # fmt: skip
        assert code == 0, f"the load did not get over a restart in {phase}: {told}"
        before = told[: told.index("retry")] if "retry" in told else told
        hits[before[-1]] += 1
        attempts.append(told.count("retry") + 1)
        line.points += 1
        line.landed += before[-1] not in ("done", "committed")
        with connected(own_server.url()) as connection:
            line.check(connection, table, new, there, f"after a restart in {phase}")
    line.note = (
        ", ".join(f"{phase} {count}" for phase, count in sorted(hits.items()))
        + f"; attempts up to {max(attempts)}; away {min(away):.1f} to {max(away):.1f} s"
    )
    assert line.landed >= POINTS * 2 // 3, f"too few restarts landed in mid-work: {line.note}"
    assert len([phase for phase in hits if phase in PHASES]) >= min(3, POINTS), line.note

"""kill -9 of a refresh or a rollback at each step, and refreshes without a break: readers never see an error or a mix.

How it was seen to fail: with `publish` that commits the swap and the row of the state separately, the stable view shows
another generation than `live` says; with `sweep` that drops nothing, relations of killed builds stay; with the swap as
DROP VIEW and CREATE VIEW in two transactions, readers get "relation ds.sales does not exist".
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.datasets.service import Datasets
from dteg.datasets.spec import parse_spec
from tests.faults.conftest import FULL
from tests.faults.datasets.conftest import make_project, reading
from tests.faults.loads import Figures

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[3]
POINTS = 80 if FULL else 5
REFRESHES = 200 if FULL else 8
TABLE = """
CREATE SCHEMA raw;
CREATE TABLE raw.orders (id integer PRIMARY KEY, mark integer NOT NULL, extra text);
INSERT INTO raw.orders SELECT i, 0, 'x' FROM generate_series(1, 500) AS i;
"""
SALES = """
dataset: sales
sources: {o: {source: warehouse, schema: raw, table: orders}}
columns: [{name: id, from: o.id}, {name: mark, from: o.mark}]
cache: {key: [id], deadline: 60s}
checks: [{not_empty: true}]
"""
OTHER = SALES.replace("columns: [", "columns: [{name: extra, from: o.extra}, ")
# Every row has the mark of the state it was read in: rows of two states in one result would be a mix.
QUERY = "SELECT count(*), count(DISTINCT mark), min(mark) FROM ds.sales"


@pytest.fixture
def project(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = make_project(postgres_url, tmp_path / "project", monkeypatch)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(TABLE)
    datasets = Datasets.of(made)
    datasets.save(parse_spec(SALES))
    for _ in range(2):
        datasets.refresh("sales")
    return made


def run(step: int, word: str) -> tuple[int, list[str]]:
    """Run a child; return its exit code and the steps it took."""
    command = [sys.executable, "-m", "tests.faults.datasets.child", str(step), word]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, done.stdout.split("\n")[:-1]


def mark(connection: psycopg.Connection[Any], value: int) -> None:
    connection.execute("UPDATE raw.orders SET mark = %s", [value])


def shown(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Return the generation that the stable view reads, and the one that is live by the state."""
    row = connection.execute(
        "SELECT (regexp_match(pg_get_viewdef('ds.sales'::regclass), 'sales__g([0-9]+)'))[1]::integer, live_n "
        "FROM _dteg.datasets"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def wait_until_let_go(connection: psycopg.Connection[Any]) -> None:
    """Wait until the server has noticed that the client which held the dataset is gone."""
    end = time.monotonic() + 60
    held = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    while connection.execute(held).fetchone():
        assert time.monotonic() < end, "a session of a killed process is still there after 60 s"
        time.sleep(0.02)


def left_over(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the relations of generations that are neither live nor kept."""
    rows = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'ds_cache'::regnamespace AND relkind IN ('m', 'v') "
        "AND NOT EXISTS (SELECT FROM _dteg.dataset_generations g WHERE g.status IN ('live', 'retired') "
        "AND relname IN ('sales__g' || g.n, 'sales__g' || g.n || '__q')) ORDER BY 1"
    )
    return [row[0] for row in rows.fetchall()]


@pytest.mark.parametrize("word", ["refresh", "rollback"])
def test_a_killed_process_leaves_the_dataset_whole(
    project: Project, postgres_url: str, word: str, rng: random.Random, figures: Callable[..., Figures]
) -> None:
    line = figures(f"kill -9, dataset {word}", rows=500)
    code, steps = run(0, word)
    assert (code, steps[-1]) == (0, "done")
    swap = [
        number + 1
        for number, name in enumerate(steps)
        if name.startswith(("_create", "commit", "state publish"))
    ]
    chosen = {
        *rng.sample(range(1, len(steps)), min(POINTS, len(steps) - 1)),
        *rng.sample(swap, min(POINTS, len(swap))),
    }
    datasets = Datasets.of(project)
    with (
        psycopg.connect(postgres_url, autocommit=True) as connection,
        reading(postgres_url, QUERY, lambda row: row[:2] == (500, 1)) as readers,
    ):
        for number, step in enumerate(sorted(chosen)):
            mark(connection, number + 1)
            code, taken = run(step, word)
            line.points += 1
            line.landed += code == -9
            wait_until_let_go(connection)
            view, live = shown(connection)
            assert view == live, f"after a kill at {taken[-1]}"
            found = datasets.get("sales")
            assert found.live is not None
            assert found.live.n == live
            assert found.building is None, "nothing is pending for ever"
            datasets.refresh("sales", wait_s=60)
            assert left_over(connection) == [], f"after a kill at {taken[-1]}"
            assert connection.execute(QUERY.encode()).fetchone() == (500, 1, number + 1)
        line.left_overs = len(left_over(connection))
    assert (readers.errors, readers.wrong) == ([], [])
    assert line.landed >= line.points - 1, "a child that had fewer steps than the first may end"
    line.note = f"{len(steps) - 1} steps, {len(readers.waits_s)} reads without an error"


def test_readers_see_neither_errors_nor_a_mix_while_columns_change(
    project: Project, postgres_url: str, figures: Callable[..., Figures]
) -> None:
    """Every second refresh changes the columns, so the stable view is dropped and made again under the readers."""
    line = figures("refreshes and rollbacks under readers", rows=500)
    datasets = Datasets.of(project)
    with (
        psycopg.connect(postgres_url, autocommit=True) as connection,
        reading(postgres_url, QUERY, lambda row: row[:2] == (500, 1), count=4) as readers,
    ):
        for number in range(REFRESHES):
            mark(connection, number)
            datasets.save(parse_spec(OTHER if number % 4 > 1 else SALES), replace=True)
            datasets.refresh("sales")
            line.points += 1
            if number % 3 == 2:
                datasets.rollback("sales")
    assert (readers.errors, readers.wrong) == ([], [])
    line.note = f"{len(readers.waits_s)} reads, p95 {readers.p95_s * 1000:.0f} ms, longest {max(readers.waits_s) * 1000:.0f} ms"


def test_a_lost_connection_fails_the_refresh_and_frees_the_dataset(
    project: Project, postgres_url: str
) -> None:
    """The session that holds the lock is ended by somebody in the middle of a build."""
    datasets = Datasets.of(project)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE VIEW raw.slow AS SELECT o.* FROM raw.orders o, pg_sleep(3)")
        datasets.save(parse_spec(SALES.replace("table: orders", "table: slow")), replace=True)
        failed: list[BaseException] = []

        def refresh() -> None:
            try:
                datasets.refresh("sales")
            except DtegError as error:
                failed.append(error)

        thread = threading.Thread(target=refresh)
        thread.start()
        ended = 0
        while not ended:
            ended = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted "
                "AND EXISTS (SELECT FROM _dteg.dataset_generations WHERE status = 'building') "
                "AND (classid::bigint << 32 | objid::bigint) = hashtextextended('dteg dataset sales', 0)"
            ).fetchone()[0]  # type: ignore[index]
            time.sleep(0.01)
        thread.join(120)
        assert len(failed) == 1
        found = datasets.get("sales")
        assert (found.building, found.last.status if found.last else "") == (None, "failed")
        assert datasets.refresh("sales").status == "live"
        assert left_over(connection) == []

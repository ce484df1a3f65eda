"""The reply to a COMMIT is lost: the retry finds the load id and loads nothing twice.

A proxy cuts the client off at the COMMIT of the load. At every other point the COMMIT reaches the server
only after that, up to half a second late, so that the retry arrives before the commit does.

How the test was seen to fail: without the search for the load id the retry loads again, until the key of
the journal refuses it; with the search before the lock instead of after it, the same happens where the
retry arrives before the late commit.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from dteg.core.project import Project
from dteg.pipelines.plan import load_pipeline
from dteg.pipelines.runner import new_run_id, run_pipeline
from tests.faults.conftest import FULL
from tests.faults.loads import Figures, fingerprint, relations, write_pipeline, write_source
from tests.faults.proxy import Link, Proxy, Rules

ROWS = 20_000 if FULL else 2_000
POINTS = 20 if FULL else 4
LATE_S = 0.5


class CutAtCommit(Rules):
    """Cut the first COMMIT that follows a COPY; later connections are left alone."""

    def __init__(self, late_s: float) -> None:
        self.late_s = late_s
        self.cuts = 0
        self.copied: set[Link] = set()

    def from_client(self, link: Link, data: bytes) -> None:
        if b"FROM STDIN" in data:
            self.copied.add(link)
        if b"COMMIT\0" not in data or link not in self.copied or self.cuts:
            link.to_server(data)
            return
        self.cuts += 1
        link.stopped.set()  # the server's end stays open until the server has read the COMMIT and answered
        link.cut_client()
        if self.late_s:
            threading.Event().wait(self.late_s)
        link.to_server(data)

    def from_server(self, link: Link, data: bytes) -> None:
        if not link.stopped.is_set():
            link.to_client(data)
        else:
            link.cut()


@pytest.mark.parametrize("disposition", ["append", "merge"])
@pytest.mark.timeout(900)
def test_a_lost_reply_to_the_commit_doubles_nothing(
    *,
    disposition: str,
    tmp_path: Path,
    postgres_url: str,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
    figures: Callable[..., Figures],
) -> None:
    line = figures(f"COMMIT sent, link cut, {disposition}", rows=ROWS)
    pipeline = write_pipeline(tmp_path, disposition)
    table = f"t.{disposition}"
    points: Counter[str] = Counter()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        write_source(tmp_path / "source.csv", ROWS, version=0)
        monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
        run_pipeline(load_pipeline(pipeline, Project(tmp_path)), run_id=new_run_id())
        if disposition == "append":
            connection.execute(f"TRUNCATE {table}")
        connection.execute(f"CREATE TABLE t.kept AS TABLE {table}")
        write_source(tmp_path / "source.csv", ROWS, version=1)
        run_pipeline(load_pipeline(pipeline, Project(tmp_path)), run_id=new_run_id())
        new, expected = fingerprint(connection, table), relations(connection)
        for point in range(POINTS):
            connection.execute(
                f"TRUNCATE {table}; TRUNCATE _dteg.checkpoints; INSERT INTO {table} TABLE t.kept"
            )
            rules = CutAtCommit(late_s=rng.uniform(0.1, LATE_S) if point % 2 else 0)
            with Proxy(postgres_url, rules) as proxy:
                monkeypatch.setenv("DTEG_POSTGRES_URL", proxy.url)
                proxy.give_password(monkeypatch)
                run_id = new_run_id()
                result = run_pipeline(load_pipeline(pipeline, Project(tmp_path)), run_id=run_id)
                assert (rules.cuts, proxy.links >= 2) == (1, True), "no commit was cut"
            (stream,) = result.streams
            line.points += 1
            line.landed += rules.cuts
            line.check(connection, table, new, expected, f"after cut {point}")
            assert stream.load.already_loaded, "the retry loaded again instead of finding its load id"
            loads = connection.execute(
                "SELECT count(*) FROM _dteg.loads WHERE load_id LIKE %s", [f"{run_id}:%"]
            )
            assert loads.fetchone() == (1,)
            points["commit came late" if rules.late_s else "commit came at once"] += 1
    line.note = ", ".join(f"{what} {count}" for what, count in points.items())

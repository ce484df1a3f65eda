"""A source PostgreSQL that drops, stalls or drips, on both ways the rows travel: relayed bytes and batches.

How the test was seen to fail: with a lost connection taken for the end of the COPY, a drop is not tried
again; with the end of a read waiting for the source, two stalls took 31 s instead of 1; with silence
measured between blocks of 256 KiB instead of bytes, a slow source was given up as silent.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dteg.core import liveness
from dteg.core.errors import TransientError
from dteg.core.project import Project
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import load_pipeline
from dteg.pipelines.results import RunResult
from dteg.pipelines.runner import new_run_id, run_pipeline
from tests.faults.conftest import FULL
from tests.faults.loads import Figures, relations, wait_until_alone
from tests.faults.proxy import Link, Proxy, Rules

ROWS = 1_000_000 if FULL else 60_000
DROPS = 20 if FULL else 2
PATHS = ["relay", "batches"]
IDLE_S = 1.0
MARGIN_S = 2.0 if FULL else 20.0
"""What a load may take besides the silence: its connections, its rollback, a busy machine."""

TABLE = """
CREATE SCHEMA s;
CREATE TABLE s.t AS SELECT i AS id, 'name ' || i % 997 AS name, (i * 7 % 1000)::numeric(9,2) AS amount,
    '2026-01-01Z'::timestamptz + i * interval '1 minute' AS updated_at FROM generate_series(1, {rows}) AS i;
ALTER TABLE s.t ADD PRIMARY KEY (id);
"""


class DropInCopy(Rules):
    """Cut both ends of the next COPY after `after` bytes of its answer; `times` in all."""

    def __init__(self, after: list[int]) -> None:
        self.after = after
        self.hits: list[int] = []

    def from_server(self, link: Link, data: bytes) -> None:
        if link.is_copying and len(self.hits) < len(self.after):
            room = self.after[len(self.hits)] - link.answered + len(data)
            if room <= len(data):
                link.to_client(data[: max(room, 0)])
                self.hits.append(link.answered)
                link.cut()
                return
        link.to_client(data)


class Stall(Rules):
    """Send nothing more after `after` bytes of a COPY's answer, for ever, keeping the connection open."""

    def __init__(self, after: int, times: int) -> None:
        self.after, self.times = after, times
        self.hits: list[float] = []

    def from_server(self, link: Link, data: bytes) -> None:
        if link.is_copying and link.answered > self.after and len(self.hits) < self.times:
            self.hits.append(time.monotonic())
            link.stopped.wait(600)
        link.to_client(data)


class Drip(Rules):
    """Let a COPY's answer through in small pieces with a pause after each."""

    def __init__(self, piece: int, pause_s: float) -> None:
        self.piece, self.pause_s = piece, pause_s
        self.pieces = 0

    def from_server(self, link: Link, data: bytes) -> None:
        for start in range(0, len(data), self.piece):
            link.to_client(data[start : start + self.piece])
            if link.is_copying:
                self.pieces += 1
                time.sleep(self.pause_s)


class Attempts(Listener):
    """Counts the failed ones."""

    def __init__(self) -> None:
        self.errors: list[TransientError] = []

    def retrying(self, stream: str, attempt: int, delay_s: float, error: TransientError) -> None:
        self.errors.append(error)


@pytest.fixture
def source(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def load(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunResult]:
    def run(rules: Rules, way: str, attempts: Listener | None = None, max_attempts: int = 4) -> RunResult:
        process = (
            "    - process: {type: rename, config: {columns: {name: title}}}\n" if way == "batches" else ""
        )
        path = tmp_path / "pipelines" / "faulty.yaml"
        path.parent.mkdir(exist_ok=True)
        with Proxy(postgres_url, rules) as proxy:
            proxy.give_password(monkeypatch)
            path.write_text(
                "pipeline:\n  name: faulty\n"
                f"  retry: {{max_attempts: {max_attempts}, base_delay_s: 0.1}}\n  steps:\n"
                f"    - extract: {{type: postgres, config: {{table: s.t, url: '{proxy.url}',"
                f" idle_timeout_s: {IDLE_S}, batch_bytes: 65536}}}}\n"
                f"{process}"
                "    - load: {type: postgres, config: {table: t.t}, write: replace}\n"
            )
            result = run_pipeline(
                load_pipeline(path, Project(tmp_path)), run_id=new_run_id(), listener=attempts or Listener()
            )
        assert result.streams[0].path.startswith(way), result.streams[0].path
        return result

    return run


def assert_equal(connection: psycopg.Connection, way: str) -> None:
    name = "title" if way == "batches" else "name"
    differing = connection.execute(
        f"SELECT count(*) FROM s.t FULL JOIN t.t USING (id)"
        f" WHERE ROW(s.t.name, s.t.amount, s.t.updated_at) IS DISTINCT FROM ROW(t.t.{name}, t.t.amount, t.t.updated_at)"
    ).fetchone()
    counts = connection.execute("SELECT (SELECT count(*) FROM s.t), (SELECT count(*) FROM t.t)").fetchone()
    assert differing == (0,)
    assert counts is not None
    assert counts[0] == counts[1]


@pytest.mark.parametrize("way", PATHS)
@pytest.mark.timeout(1800)
def test_a_dropped_copy_is_read_again(
    way: str,
    source: psycopg.Connection,
    load: Callable[..., RunResult],
    rng: random.Random,
    figures: Callable[..., Figures],
) -> None:
    line = figures(f"source drops, {way}", rows=ROWS)
    source.execute(TABLE.format(rows=ROWS))
    size = ROWS * 50  # the COPY of a row takes a little more than that
    hits: list[int] = []
    for _ in range(DROPS):
        rules = DropInCopy([rng.randrange(1000, size) for _ in range(rng.randrange(1, 4))])
        attempts = Attempts()
        result = load(rules, way, attempts)
        assert len(rules.hits) == len(attempts.errors) == len(rules.after), "a cut came after the COPY"
        assert result.streams[0].load.rows_written == ROWS
        assert_equal(source, way)
        hits += rules.hits
    wait_until_alone(source)
    assert [each for each in relations(source) if "temporary" in each] == []
    line.points = line.landed = len(hits)
    line.note = f"{DROPS} loads, cut after {min(hits):,} to {max(hits):,} bytes"


@pytest.mark.parametrize("after", [1000, 1_500_000] if FULL else [1_500_000])
@pytest.mark.parametrize("way", PATHS)
def test_a_stalled_copy_is_given_up_in_time(
    way: str,
    after: int,
    source: psycopg.Connection,
    load: Callable[..., RunResult],
    figures: Callable[..., Figures],
) -> None:
    line = figures(f"source stalls, {way}", rows=60_000)
    source.execute(TABLE.format(rows=60_000))
    threads = threading.active_count()
    rules = Stall(after, times=99)
    started = time.monotonic()
    with pytest.raises(TransientError, match=rf"the source has sent nothing for {IDLE_S:g} s"):
        load(rules, way, max_attempts=2)
    seconds = time.monotonic() - started
    assert len(rules.hits) == 2
    assert 2 * IDLE_S <= seconds <= 2 * (IDLE_S + MARGIN_S)
    assert source.execute("SELECT to_regclass('t.t')").fetchone() == (None,)
    wait_until_alone(source)
    deadline = time.monotonic() + 60
    while threading.active_count() > threads:
        assert time.monotonic() < deadline, f"threads left: {threading.enumerate()}"
        time.sleep(0.02)
    attempts = Attempts()
    load(Stall(after, times=1), way, attempts)
    assert len(attempts.errors) == 1
    assert_equal(source, way)
    line.points = line.landed = len(rules.hits) + len(attempts.errors)
    line.note = f"two stalls after {after:,} bytes given up after {seconds:.1f} s"


@pytest.mark.parametrize("way", PATHS)
def test_a_slow_drip_is_no_silence(
    way: str, source: psycopg.Connection, load: Callable[..., RunResult], figures: Callable[..., Figures]
) -> None:
    """A block of 256 KiB takes longer than the longest silence; no piece does."""
    source.execute(TABLE.format(rows=3_000))
    rules, attempts = Drip(piece=8192, pause_s=IDLE_S * 0.15), Attempts()
    started = time.monotonic()
    load(rules, way, attempts)
    seconds = time.monotonic() - started
    assert seconds > 2 * IDLE_S, "not slow enough"
    assert attempts.errors == []
    assert_equal(source, way)
    note = f"{rules.pieces} pieces in {seconds:.1f} s, with {IDLE_S:g} s as the longest silence"
    figures(f"source drips, {way}", rows=3_000, points=1, landed=1, note=note)


class StallBefore(Rules):
    """Let nothing more through on the link whose client sends `mark` first."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.hits: list[Link] = []

    def from_client(self, link: Link, data: bytes) -> None:
        if self.mark in data and not self.hits:
            self.hits.append(link)
        if link in self.hits:
            link.stopped.wait(600)
        link.to_server(data)


@pytest.mark.parametrize("mark", [b"pg_index", b"BEGIN", b"TO STDOUT"], ids=["describe", "begin", "copy"])
@pytest.mark.parametrize("way", PATHS)
def test_a_stall_before_the_first_row_is_given_up_in_time(
    way: str,
    mark: bytes,
    source: psycopg.Connection,
    load: Callable[..., RunResult],
    figures: Callable[..., Figures],
) -> None:
    line = figures(f"source stalls before its COPY, {way}", rows=3_000, points=1)
    source.execute(TABLE.format(rows=3_000))
    rules, attempts = StallBefore(mark), Attempts()
    started = time.monotonic()
    load(rules, way, attempts)
    assert time.monotonic() - started < 2 * IDLE_S + liveness.CONFIRM_S + 2 * MARGIN_S
    line.landed = len(rules.hits)
    assert len(rules.hits) == len(attempts.errors) == 1
    assert_equal(source, way)

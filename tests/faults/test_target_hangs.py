"""The target hangs: it accepts and never answers. Each wait has an end, and what merely takes long is left alone.

A proxy lets everything through up to a point of the load, and from there on nothing more of that connection
("once"), or of any ("for ever"). It never closes one.

How the test was seen to fail: without `WatchedConnection._watched` each hang lasts until the test is ended; with
silence alone as the reason to give up, the publish that takes long is given up; with the answer of the server
not looked at (no question after `Client`), a link that hangs once is waited for until the statement's limit; with
`check_target` outside of the retries, the check whose connection is cut fails the run.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dteg.core import liveness
from dteg.core.errors import PermanentError, TransientError
from dteg.core.project import Project
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import load_pipeline
from dteg.pipelines.results import RunResult
from dteg.pipelines.runner import new_run_id, run_pipeline
from dteg.quality import session as quality_session
from tests.faults.conftest import FULL
from tests.faults.loads import Figures, fingerprint, relations, write_pipeline, write_source
from tests.faults.proxy import Link, Proxy, Rules

ROWS = 200_000 if FULL else 20_000
IDLE_S = 0.5
CONNECT_S = 2
MARGIN_S = 4.0 if FULL else 30.0
"""What a load may take besides its limits: its work, its rollback, a busy machine."""

# Each point with what the client sends there; what follows it is not let through.
POINTS = {
    "connect": b"",
    "journal": b"_dteg.checkpoints",
    "begin": b"BEGIN",
    "copy": b"FROM STDIN",
    "publish": b"ON CONFLICT",
    "commit": b"COMMIT\0",
}


# The short version keeps one point of each kind: no connection yet, rows under way, one long statement, the commit.
ONCE = [
    (point, delivered) for point in POINTS for delivered in (False, True)
    if FULL or (point, delivered) in {("connect", False), ("copy", False), ("publish", True), ("commit", True)}
]  # fmt: skip
FOR_EVER = [point for point in POINTS if FULL or point in {"copy", "commit"}]


class Hang(Rules):
    """Let nothing through after `mark` was sent: on that link alone, or on every link from then on.

    Args:
        mark: What the client sends.
        delivered: Whether the server still gets that.
        for_ever: Whether no other link gets anything through from then on.
    """

    def __init__(self, mark: bytes, *, delivered: bool = False, for_ever: bool = False) -> None:
        self.mark, self.delivered, self.for_ever = mark, delivered, for_ever
        self.hung: list[Link] = []

    def from_client(self, link: Link, data: bytes) -> None:
        if self._hangs(link):
            link.stopped.wait(600)
            return
        if self.mark in data and not self.hung:
            self.hung.append(link)
            if not self.delivered:
                link.stopped.wait(600)
                return
        link.to_server(data)

    def from_server(self, link: Link, data: bytes) -> None:
        if self._hangs(link):
            link.stopped.wait(600)
            return
        link.to_client(data)

    def _hangs(self, link: Link) -> bool:
        return link in self.hung or (self.for_ever and bool(self.hung))


class CutAt(Rules):
    """Cut the first link whose client sends `mark`."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark
        self.cuts = 0

    def from_client(self, link: Link, data: bytes) -> None:
        if self.mark in data and not self.cuts:
            self.cuts += 1
            link.cut()
        else:
            link.to_server(data)


class Attempts(Listener):
    """Keeps the errors of the failed ones."""

    def __init__(self) -> None:
        self.errors: list[TransientError] = []

    def retrying(self, stream: str, attempt: int, delay_s: float, error: TransientError) -> None:
        self.errors.append(error)


@pytest.fixture
def target(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """The target with the first version loaded and the second one at hand."""
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    monkeypatch.setattr(liveness, "ANSWER_TIMEOUT_S", 1.0)
    write_source(tmp_path / "source.csv", ROWS, version=0)
    run(tmp_path)
    write_source(tmp_path / "source.csv", ROWS, version=1)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def run(
    folder: Path, listener: Listener | None = None, *, settings: str = f"idle_timeout_s: {IDLE_S}", quality: str = ""
) -> RunResult:  # fmt: skip
    top = "retry: {max_attempts: 2, base_delay_s: 0.1}" + quality
    pipeline = write_pipeline(folder, "merge", settings=settings, top=top)
    loaded = load_pipeline(pipeline, Project(folder))
    return run_pipeline(loaded, run_id=new_run_id(), listener=listener or Listener())


def through(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTEG_POSTGRES_URL", f"{proxy.url}?connect_timeout={CONNECT_S}")
    proxy.give_password(monkeypatch)


@pytest.mark.parametrize(
    ("point", "delivered"), ONCE, ids=[f"{point}-{'unanswered' if heard else 'unheard'}" for point, heard in ONCE]
)  # fmt: skip
def test_a_link_that_hangs_once_is_given_up_and_the_load_goes_on( *,
    point: str, delivered: bool, target: psycopg.Connection, tmp_path: Path, postgres_url: str,
    monkeypatch: pytest.MonkeyPatch, figures: Callable[..., Figures],
) -> None:  # fmt: skip
    line = figures("target's link hangs once", rows=ROWS + ROWS // 10, note="; ".join(dict(ONCE)))
    there = relations(target)
    rules, attempts = Hang(POINTS[point], delivered=delivered), Attempts()
    with Proxy(postgres_url, rules) as proxy:
        through(proxy, monkeypatch)
        started = time.monotonic()
        result = run(tmp_path, attempts)
        seconds = time.monotonic() - started
    line.points, line.landed = 1, len(rules.hung)
    assert len(rules.hung) == len(attempts.errors) == 1
    assert seconds < max(CONNECT_S, IDLE_S + liveness.CONFIRM_S) + MARGIN_S
    if point != "connect":
        assert "the server waits for us as well" in str(
            attempts.errors[0].__cause__
        ) or "lost while committing" in str(attempts.errors[0])
    assert result.streams[0].load.already_loaded == (point == "commit" and delivered)
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    new = fingerprint(target, "t.merge")
    assert new[0] == ROWS + ROWS // 10
    run(tmp_path)  # the file as it is, without a fault in between
    line.check(target, "t.merge", new, there, f"after a hang in {point}")


@pytest.mark.parametrize("point", FOR_EVER)
def test_a_target_that_hangs_for_ever_ends_the_run_in_time( *,
    point: str, target: psycopg.Connection, tmp_path: Path, postgres_url: str,
    monkeypatch: pytest.MonkeyPatch, figures: Callable[..., Figures],
) -> None:  # fmt: skip
    line = figures("target hangs for ever", rows=ROWS + ROWS // 10, note="; ".join(FOR_EVER))
    old, there = fingerprint(target, "t.merge"), relations(target)
    rules = Hang(POINTS[point], for_ever=True)
    with Proxy(postgres_url, rules) as proxy:
        through(proxy, monkeypatch)
        started = time.monotonic()
        with pytest.raises(TransientError):
            run(tmp_path)
        seconds = time.monotonic() - started
    # Two questions, and the end of a COPY that nobody hears; then the second attempt, which does not get through.
    assert seconds < IDLE_S + liveness.CONFIRM_S + 3 * CONNECT_S + 5 + MARGIN_S
    line.points, line.landed = 1, len(rules.hung)
    line.check(target, "t.merge", old, there, f"after a hang for ever in {point}")


def test_a_server_that_only_shakes_hands_is_no_answer(
    target: psycopg.Connection, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections are made, questions are not answered: the one about the session neither."""
    rules = Hang(b"pg_backend_pid", for_ever=False)
    rules.from_client = lambda link, data: (  # type: ignore[method-assign]
        link.stopped.wait(600) if b"SELECT" in data.upper() else link.to_server(data)
    )
    with Proxy(postgres_url, rules) as proxy:
        through(proxy, monkeypatch)
        started = time.monotonic()
        with pytest.raises(TransientError, match="nothing came for"):
            run(tmp_path)
    assert time.monotonic() - started < 2 * (IDLE_S + liveness.CONFIRM_S + MARGIN_S)


SLOW = """
CREATE FUNCTION t.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END';
CREATE TRIGGER slow AFTER INSERT ON t.merge FOR EACH STATEMENT EXECUTE FUNCTION t.slow();
"""


def test_a_publish_that_takes_long_is_not_given_up(
    target: psycopg.Connection, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.execute(SLOW.format(seconds=5))
    attempts = Attempts()
    with Proxy(postgres_url, Rules()) as proxy:
        through(proxy, monkeypatch)
        started = time.monotonic()
        run(tmp_path, attempts)
        assert time.monotonic() - started > 5
        assert proxy.links > 4, "the server was not asked"
    assert attempts.errors == []
    assert fingerprint(target, "t.merge")[0] == ROWS + ROWS // 10


def test_a_statement_without_end_is_ended_and_not_tried_again(
    target: psycopg.Connection, tmp_path: Path
) -> None:
    target.execute(SLOW.format(seconds=60))
    old, attempts = fingerprint(target, "t.merge"), Attempts()
    with pytest.raises(PermanentError, match="one statement took longer than 1 s"):
        run(tmp_path, attempts, settings="statement_timeout_s: 1")
    assert attempts.errors == []
    assert fingerprint(target, "t.merge") == old


def test_a_lock_that_is_never_given_back_is_not_waited_for_for_ever(
    target: psycopg.Connection, tmp_path: Path, postgres_url: str
) -> None:
    attempts = Attempts()
    with psycopg.connect(postgres_url) as holder:
        holder.execute("LOCK TABLE t.merge IN SHARE MODE")
        with pytest.raises(TransientError, match="lock timeout"):
            run(tmp_path, attempts, settings="lock_timeout_s: 0.5")
    assert len(attempts.errors) == 1
    run(tmp_path, settings="lock_timeout_s: 0.5")
    assert fingerprint(target, "t.merge")[0] == ROWS + ROWS // 10


RULE = "\n  quality: {validation_rules: [{type: unique, columns: [id]}]}"


@pytest.mark.parametrize(
    "rules", [CutAt(b"statement_timeout"), Hang(b"statement_timeout")], ids=["cut", "hang"]
)
def test_a_check_whose_connection_fails_is_made_again(
    rules: CutAt | Hang, target: psycopg.Connection, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(quality_session, "IDLE_TIMEOUT_S", IDLE_S)
    attempts = Attempts()
    with Proxy(postgres_url, rules) as proxy:
        through(proxy, monkeypatch)
        result = run(tmp_path, attempts, quality=RULE)
    assert len(attempts.errors) == 1
    assert [check.passed for check in result.streams[0].checks] == [True]
    assert not result.streams[0].load.already_loaded

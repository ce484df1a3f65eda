"""kill -9 of the only member of a group, again and again, while messages are published: each is handled at least once.

The second test breaks the member on purpose (it acks before it handles), and the first one's check must see it.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dteg.core.project import Project
from dteg.testing.servers import database
from dteg.topics import NewMessage
from dteg.topics.postgres import PostgresTopics
from tests.faults.conftest import FULL
from tests.faults.loads import Figures

pytestmark = pytest.mark.faults
KILLS = 100 if FULL else 20
MESSAGES = 20_000 if FULL else 3_000
MESSAGES_A_KILL = MESSAGES // (2 * KILLS)
ROOT = Path(__file__).parents[3]


class Members:
    """Starts members one after the other, each from a process that has imported everything."""

    def __init__(self, topic: str, effects: Path, **env: str) -> None:
        effects.touch()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.topics.member", topic, "g", str(effects)], cwd=ROOT,
            env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self) -> int:
        self._process.stdin.write("start\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self._process.stdout.readline() == "gone\n"

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture
def topics(postgres_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresTopics]:
    with database(postgres_server) as url:
        monkeypatch.setenv("DTEG_POSTGRES_URL", url)
        monkeypatch.setenv("DTEG_HOME", str(tmp_path))
        topics = PostgresTopics(Project(tmp_path))
        yield topics
        topics.close()


def handled(effects: Path) -> list[int]:
    return [int(line) for line in effects.read_text().split()]


def publish_all(topics: PostgresTopics, rng: random.Random) -> None:
    """Publish in batches and one by one, some of it in transactions that stay open for a while."""
    at = 0
    with psycopg.connect(os.environ["DTEG_POSTGRES_URL"]) as connection:
        while at < MESSAGES:
            size = min(rng.choice((1, 5, 50)), MESSAGES - at)
            batch = [NewMessage.make(str(number)) for number in range(at, at + size)]
            topics.publish_many("t", batch, connection=connection if rng.random() < 0.5 else None)
            at += size
            if rng.random() < 0.3:
                connection.commit()
        connection.commit()


def kill_often(
    topics: PostgresTopics, effects: Path, rng: random.Random, line: Figures, **env: str
) -> list[int]:
    """Kill members while they work; return what was handled until nothing was left."""
    topics.create("t")
    topics.subscribe("t", "g")
    publisher = threading.Thread(target=publish_all, args=(topics, random.Random(rng.random())))
    publisher.start()
    members = Members("t", effects, **env)
    with contextlib.closing(members):
        for _ in range(KILLS):
            pid = members.start()
            wanted = len(handled(effects)) + rng.randrange(1, MESSAGES_A_KILL)
            deadline = time.monotonic() + 60
            while len(handled(effects)) < wanted and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.02))
            members.kill(pid)
            line.points += 1
            line.landed += topics.groups("t")[0].in_flight > 0
        publisher.join()
        pid = members.start()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            (group,) = topics.groups("t")
            if group.lag == group.in_flight == group.retrying == 0:
                break
            time.sleep(0.1)
        time.sleep(0.2)
        members.kill(pid)
    return handled(effects)


@pytest.mark.timeout(900)
def test_a_subscriber_that_is_killed_loses_nothing(
    topics: PostgresTopics, tmp_path: Path, rng: random.Random, figures: Callable[..., Figures]
) -> None:
    line = figures("kill -9, subscriber of a topic", rows=MESSAGES)
    seen = kill_often(topics, tmp_path / "effects", rng, line)
    line.lost = MESSAGES - len(set(seen))
    again = len(seen) - len(set(seen))
    line.note = f"{again} handled twice"
    assert line.lost == 0
    assert topics.dead_letters("t") == []
    # At least once, not again and again: at most what a member held when it was killed.
    assert again <= KILLS * 2 * 20
    assert line.landed >= KILLS // 2, "too few kills landed in mid-work"


@pytest.mark.timeout(900)
def test_acks_before_handling_would_be_seen(
    topics: PostgresTopics, tmp_path: Path, rng: random.Random
) -> None:
    seen = kill_often(
        topics, tmp_path / "effects", rng, Figures("broken on purpose"), DTEG_TEST_ACK_FIRST="1"
    )
    assert len(set(seen)) < MESSAGES

"""Remotes that are frozen (SIGSTOP: connections are taken, nothing is answered) or stopped, PostgreSQL and MariaDB."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dteg.core.errors import TransientError, UnavailableError
from dteg.testing import frozen
from tests.faults.conftest import FULL
from tests.faults.datasets.conftest import ROWS, Hub, reading
from tests.faults.loads import Figures

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.timeout(300)]
# On a busy machine the query is to be seen under way before the deadline ends it.
DEADLINE_S = 3 if FULL else 8
# What the deadline may be missed by, and how soon what fails at once has failed: the full set has the machine for itself.
SLACK_S, SOON_S = (2, 1.5) if FULL else (15, 15)
COUNT = "SELECT count(*) FROM ds.sales"
GOES_ON = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dteg refresh sales' AND state = 'active'"
)


@contextmanager
def refreshing(hub: Hub) -> Iterator["subprocess.Popen[bytes]"]:
    """Refresh in a process of its own, and wait until its query is under way."""
    child = subprocess.Popen(
        [sys.executable, "-m", "dteg.datasets.refreshing.run", "sales"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 90
        while hub.run(GOES_ON)[0][0] == 0:
            assert child.poll() is None, "the refresh ended before it could be disturbed"
            assert time.monotonic() < end
            time.sleep(0.02)
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(60)


def wait_gone(hub: Hub, seconds: float) -> float:
    """Wait until no session of a refresh is left; return how long that took."""
    began = time.monotonic()
    while hub.run(GOES_ON.replace(" AND state = 'active'", ""))[0][0]:
        assert time.monotonic() - began < seconds, "a session of the refresh hangs in the hub"
        time.sleep(0.05)
    return time.monotonic() - began


def test_a_remote_that_freezes_in_mid_query(hub: Hub, figures: Callable[..., Figures]) -> None:
    """The refresh ends as failed within deadline + 2 s, readers notice nothing, and the hub keeps no session.

    How it was seen to fail: with `link_deadlines` that holds no deadline, MariaDB's session stays in the hub until the
    server goes on, and this test ends with "a session of the refresh hangs in the hub".
    """
    line = figures(f"remote frozen in mid query, {hub.remote.name}", rows=ROWS)
    hub.save("60s")
    hub.datasets.refresh("sales")
    hub.save(f"{DEADLINE_S}s")
    with reading(hub.url, COUNT, lambda row: row == (ROWS,)) as readers:
        with hub.remote.locked():
            began = time.monotonic()
            with refreshing(hub) as child, frozen(hub.remote.url):
                line.points += 1
                code = child.wait(DEADLINE_S + 60)
                took_s = time.monotonic() - began
                gone_s = wait_gone(hub, SLACK_S)
                found = hub.datasets.get("sales")
        assert code == 1
        assert (found.live.n, found.last.n, found.last.status, found.building) == (1, 2, "failed", None)
        assert found.last.seconds <= DEADLINE_S + SLACK_S
        assert "deadline" in found.problem or "source" in found.problem
    line.landed = 1
    line.note = f"failed after {found.last.seconds:.1f} s of {DEADLINE_S} s, session gone {gone_s:.1f} s later, {len(readers.waits_s)} reads, p95 {readers.p95_s * 1000:.0f} ms"
    assert (readers.errors, readers.wrong) == ([], [])
    assert took_s < DEADLINE_S + 60
    hub.save("60s")
    assert hub.datasets.refresh("sales").n == 3, "it goes on when the remote does"


def test_a_remote_that_is_frozen_already(hub: Hub) -> None:
    hub.save("60s")
    hub.datasets.refresh("sales")
    hub.save(f"{DEADLINE_S}s")
    with frozen(hub.remote.url):
        began = time.monotonic()
        with pytest.raises((TransientError, UnavailableError), match="shop"):
            hub.datasets.refresh("sales")
        assert time.monotonic() - began < DEADLINE_S + SLACK_S
        assert hub.run(COUNT) == [(ROWS,)]
        found = hub.datasets.get("sales")
        assert (found.live.n, found.last.status) == (1, "failed")
        wait_gone(hub, SLACK_S)
    hub.save("60s")
    assert hub.datasets.refresh("sales").status == "live"


def test_a_remote_that_is_stopped(hub: Hub, figures: Callable[..., Figures]) -> None:
    """It fails in less than a second, the rows before are served, and their age is told."""
    line = figures(f"remote stopped, {hub.remote.name}", rows=ROWS)
    hub.save("30s")
    hub.datasets.refresh("sales")
    with reading(hub.url, COUNT, lambda row: row == (ROWS,)) as readers, hub.remote.stopped():
        began = time.monotonic()
        with pytest.raises((TransientError, UnavailableError), match="shop"):
            hub.datasets.refresh("sales")
        took_s = time.monotonic() - began
        assert took_s < SOON_S
        line.note = f"failed after {took_s:.2f} s"
        found = hub.datasets.get("sales")
        assert (found.live.n, found.last.status, found.state) == (1, "failed", "active")
        assert found.age_s > 0
        assert "shop" in found.problem
        assert len(hub.datasets.rows("sales").rows) == 50
    assert (readers.errors, readers.wrong) == ([], [])
    assert hub.datasets.refresh("sales").rows == ROWS


@pytest.mark.skipif(not FULL, reason="the full set of fault tests: DTEG_FAULTS=full")
def test_a_remote_that_is_stopped_in_mid_query(hub: Hub) -> None:
    hub.save("30s")
    hub.datasets.refresh("sales")
    with hub.remote.locked(), refreshing(hub) as child, hub.remote.stopped():
        assert child.wait(10) == 1
        wait_gone(hub, 2)
        found = hub.datasets.get("sales")
        assert (found.live.n, found.last.status) == (1, "failed")
    assert hub.datasets.refresh("sales").n == 3

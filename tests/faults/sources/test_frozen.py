"""Sources that freeze: what waits for them ends at its deadline, and nothing of it is left in the warehouse.

Without the relay a backend that waits for a frozen MariaDB can be neither cancelled nor terminated, and one that waits
for a frozen PostgreSQL waits again when it is cancelled (half a minute, before version 17 for ever).
"""

import threading
import time
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from dteg.core.control import close_kept
from dteg.core.errors import DtegError, TransientError, UnavailableError
from dteg.core.postgres import connect
from dteg.core.project import Project
from dteg.sources.models import NewSource, State
from dteg.sources.reaching import is_unreachable
from dteg.sources.relaying import Relaying
from dteg.sources.service import Sources
from dteg.testing import frozen
from tests.faults.conftest import FULL

pytestmark = pytest.mark.faults
DEADLINE_S = 2.0
# What the deadline may be missed by, and how soon what fails at once has failed: the full set has the machine for itself.
SLACK_S, SOON_S = (2.0, 1.9) if FULL else (15.0, 15.0)
ROWS = 200_000


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Return a function that makes a project over a warehouse."""
    (tmp_path / "project" / "pipelines").mkdir(parents=True)
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("DTEG_SOURCES_KEY", "DTEG_RELAY"):
        monkeypatch.delenv(name, raising=False)
    project = Project(tmp_path / "project")

    def made(warehouse):
        monkeypatch.setenv("DTEG_POSTGRES_URL", warehouse)
        return Sources.of(project)

    yield made
    Relaying(project).stop()
    close_kept()


@pytest.fixture(params=["postgres", "postgres_from_15", "mariadb"])
def case(request, make):
    """A source with one table of some size, on a server that may be frozen; and its URL."""
    hub = "postgres_url" if request.param == "postgres" else "debian_hub_database"
    sources = make(request.getfixturevalue(hub))
    if request.param == "mariadb":
        url = request.getfixturevalue("mariadb_own_server").url
        _fill_mariadb(url)
        sources.add(NewSource(slug="far", kind="mysql", url=url, tables=["frozen_orders"]))
        yield sources, url
        return
    url = request.getfixturevalue("postgres_tcp_database")
    with psycopg.connect(url, autocommit=True) as there:
        there.execute(
            f"CREATE TABLE frozen_orders AS SELECT n AS id, 'name ' || n AS name FROM generate_series(1, {ROWS}) n"
        )
    sources.add(NewSource(slug="far", kind="postgres", url=url))
    yield sources, url


def _fill_mariadb(url):
    parts = urlsplit(url)
    connection = pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password, database=parts.path[1:],
        autocommit=True,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE TABLE frozen_orders (id int PRIMARY KEY, name varchar(30))")
        cursor.execute(f"INSERT INTO frozen_orders SELECT seq, concat('name ', seq) FROM seq_1_to_{ROWS}")


class Refresh(threading.Thread):
    """What a refresh of a dataset does: a session with a timeout, within a deadline of the sources."""

    def __init__(self, sources, *, begun):
        super().__init__()
        self.sources, self.begun = sources, begun
        self.is_reading, self.pid, self.error, self.seconds = threading.Event(), 0, None, 0.0
        self.goes_on = threading.Event()  # once the source is frozen

    def run(self):
        began = time.monotonic()
        try:
            with (
                self.sources.link_deadline("far", DEADLINE_S),
                connect(self.sources.project.warehouse_url()) as connection,
            ):
                self.pid = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
                connection.execute(f"SET statement_timeout = {int(DEADLINE_S * 1000)}")
                if self.begun:
                    connection.execute("BEGIN")
                    connection.execute("SELECT * FROM src_far.frozen_orders LIMIT 1")
                self.is_reading.set()
                self.goes_on.wait(20)
                connection.execute("CREATE TEMP TABLE x AS SELECT * FROM src_far.frozen_orders")
        except psycopg.Error as error:
            self.error = error
        self.is_reading.set()
        self.seconds = time.monotonic() - began


def _is_gone(sources, pid):
    deadline = time.monotonic() + SLACK_S
    with psycopg.connect(sources.project.warehouse_url(), autocommit=True) as connection:
        while time.monotonic() < deadline:
            if not connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone():
                return True
            time.sleep(0.05)
    return False


@pytest.mark.parametrize("begun", [True, False] if FULL else [True], ids=["connected", "new"][: 1 + FULL])
def test_a_refresh_ends_at_its_deadline_and_leaves_no_backend(case, begun):
    sources, url = case
    refresh = Refresh(sources, begun=begun)
    if begun:
        refresh.start()
        assert refresh.is_reading.wait(60)
        with frozen(url):
            refresh.goes_on.set()
            refresh.join(60)
    else:
        refresh.goes_on.set()
        with frozen(url):
            refresh.start()
            refresh.join(60)
    assert not refresh.is_alive()
    assert refresh.error is not None
    assert is_unreachable(refresh.error), refresh.error
    assert refresh.seconds < DEADLINE_S + SLACK_S
    assert _is_gone(sources, refresh.pid)
    # Thawed, it answers as if nothing had been.
    assert sources.rows("far", "frozen_orders", 1).more


@pytest.mark.parametrize(
    "case", ["postgres", "postgres_from_15", "mariadb"] if FULL else ["mariadb"], indirect=True
)
def test_a_frozen_source_is_soon_not_asked_any_more(case):
    sources, url = case
    with frozen(url):
        began = time.monotonic()
        for _ in range(3):
            assert not sources.probe("far").ok
        assert time.monotonic() - began < 3 * 2.0 + SLACK_S
        assert sources.get("far").state is State.OPEN
        began = time.monotonic()
        with pytest.raises(UnavailableError):
            sources.rows("far", "frozen_orders")
        with pytest.raises(UnavailableError), sources.link_deadline("far", 5):
            pass
        assert time.monotonic() - began < SOON_S
    assert sources.test("far").ok
    assert sources.get("far").state is State.OK


def test_a_stopped_source_fails_at_once(make, postgres_url, postgres_tcp):
    sources = make(postgres_url)
    with psycopg.connect(postgres_tcp.url, autocommit=True) as there:
        there.execute("SET synchronous_commit = on")  # it is stopped without being asked
        there.execute("CREATE SCHEMA IF NOT EXISTS halted; CREATE TABLE IF NOT EXISTS halted.orders (id int)")
    sources.add(NewSource(slug="far", kind="postgres", url=postgres_tcp.url, tables=["halted.*"]))
    with postgres_tcp.stopped():
        began = time.monotonic()
        with pytest.raises(TransientError):
            sources.rows("far", "orders")
        assert time.monotonic() - began < SOON_S
        with pytest.raises(DtegError, match="does not answer"):
            sources.refresh("far")
    assert sources.test("far").ok
    assert sources.rows("far", "orders").rows == []

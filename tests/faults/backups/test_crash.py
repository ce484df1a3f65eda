"""The server dies right after a restore was reported done, or in the middle of one: a database is whole, or not there.

pg_restore does not wait for the disk, the rename at the end does. How the test was seen to fail: with that rename made
without waiting as well, the database is lost.
"""

import contextlib
from collections.abc import Callable

import psycopg
import pytest

from dteg.backups import postgres_restore as pg
from dteg.backups.models import NewBackup, RestoreOrder
from dteg.backups.service import Backups
from dteg.core.embedded import EmbeddedPostgres
from dteg.core.errors import DtegError
from dteg.core.postgres import with_database
from dteg.core.project import Project
from tests.faults.backups.conftest import TABLES
from tests.faults.loads import Figures, restart

pytestmark = pytest.mark.faults
# Of what nobody has to wait for, nothing gets to the disk by itself in the time of this test.
LAZY = ("wal_writer_delay = '10s'", "checkpoint_timeout = '1h'", "bgwriter_delay = '10s'")


@pytest.fixture
def url(own_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, project: Project) -> str:
    """A server that may be killed, as the project's warehouse."""
    url = own_server.url()
    monkeypatch.setenv("DTEG_POSTGRES_URL", url)
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in LAZY:
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE items")
    with psycopg.connect(with_database(url, "items"), autocommit=True) as connection:
        connection.execute(TABLES)
    return url


def test_a_restored_database_outlives_the_server(
    url: str, own_server: EmbeddedPostgres, backups: Backups, monkeypatch: pytest.MonkeyPatch,
    figures: Callable[..., Figures],
) -> None:  # fmt: skip
    line = figures("restart -m immediate, restore", rows=8000)
    backup = backups.create(NewBackup.model_validate({"database": "items"}))
    put_in_place, compared = pg.put_in_place, pg.compared

    def put_in_place_and_die(*arguments: object, **options: object) -> str:
        done = put_in_place(*arguments, **options)  # type: ignore[arg-type]
        restart(own_server)
        line.landed += 1
        return done

    def compared_and_die(*arguments: object, **options: object) -> object:
        restart(own_server)
        line.landed += 1
        return compared(*arguments, **options)  # type: ignore[arg-type]

    for work, dies, there in (
        ("put_in_place", put_in_place_and_die, True),
        ("compared", compared_and_die, False),
    ):
        into = f"items_{work}"
        with monkeypatch.context() as patch:
            patch.setattr(pg, work, dies)
            with contextlib.suppress(DtegError):  # its connections are gone
                backups.restore(RestoreOrder(id=backup.id, into=into))
        line.points += 1
        assert (into in databases(url)) == there
    assert line.landed == line.points
    with psycopg.connect(with_database(url, "items_put_in_place")) as connection:
        found = connection.execute("SELECT count(*), sum(length(filler)) FROM items").fetchone()
    assert found == (6000, 6000 * 96)
    backups.verify(backup.id, restore=True)
    left = databases(url) - {"items", "items_put_in_place", "dteg", "postgres", "template0", "template1"}
    line.left_overs = len(left)
    assert not left


def databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}

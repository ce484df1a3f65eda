"""MariaDB and MySQL in the same frames."""

from urllib.parse import urlsplit

import pytest

from dteg.backups import mariadb
from dteg.backups.errors import DamagedBackupError
from dteg.backups.models import RestoreOrder
from dteg.core.errors import ConfigError, ConflictError, PermanentError
from tests.integration.backups.conftest import order

TABLES = (
    "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a text, b blob, d datetime(6), j json)",
    r"""INSERT INTO t (a, b, d, j) SELECT concat('x', seq, '\n;\'\\'), unhex(md5(seq)), '2026-01-01 02:03:04.5', '{"a": 1}'
        FROM seq_1_to_3000""",
    "CREATE TABLE `we``ird t` (x int)",
    "INSERT INTO `we``ird t` VALUES (1), (NULL)",
    "CREATE TABLE nothing (x int)",
    "CREATE VIEW v AS SELECT id, a FROM t",
    "CREATE PROCEDURE p() SELECT 1",
    "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = upper(NEW.a)",
    "CREATE SEQUENCE numbers START WITH 5",
)
SECRET = "secret://env/SHOP_URL"


def run(url, *statements):
    with mariadb.connected(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE `{urlsplit(url).path[1:]}`")
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


@pytest.fixture
def shop_url(mariadb_url, monkeypatch):
    run(mariadb_url, *TABLES)
    monkeypatch.setenv("SHOP_URL", mariadb_url)
    return mariadb_url


@pytest.fixture
def into(mariadb_server_url):
    name = "dteg_test_restored"
    mariadb.drop(mariadb_server_url, name)
    yield name
    mariadb.drop(mariadb_server_url, name)


def test_a_database_comes_back(backups, shop_url, into, project):
    backup = backups.create(order(SECRET, encrypt=True))
    assert (backup.database, backup.tables, backup.rows) == (urlsplit(shop_url).path[1:], 3, 3002)
    assert backup.source == SECRET
    password = urlsplit(shop_url).password.encode()
    kept = b"".join(path.read_bytes() for path in project.root.rglob("backups/*/*"))
    assert password not in kept
    assert backups.verify(backup.id, restore=True).rows == 3002
    assert backups.restore(RestoreOrder(id=backup.id, into=into)).rows == 3002
    there = mariadb.renamed(shop_url, into)
    assert run(there, "SELECT a FROM v WHERE id = 7") == (("x7\n;'\\",),)
    assert run(there, "INSERT INTO t (a) VALUES ('new')", "SELECT a FROM t ORDER BY id DESC LIMIT 1") == (
        ("NEW",),
    )
    with pytest.raises(ConflictError, match="already"):
        backups.restore(RestoreOrder(id=backup.id, into=into))
    with pytest.raises(ConfigError, match="--swap"):
        backups.restore(RestoreOrder(id=backup.id, into=into, swap=True))


def test_what_a_killed_restore_left_is_replaced(backups, shop_url, into):
    backup = backups.create(order(SECRET))
    run(
        shop_url,
        f"CREATE DATABASE {into}",
        f"CREATE TABLE {into}.{mariadb.UNFINISHED} (at int)",
        f"CREATE TABLE {into}.half (x int)",
    )
    assert backups.restore(RestoreOrder(id=backup.id, into=into)).tables == 3
    found = {name for (name,) in run(mariadb.renamed(shop_url, into), "SHOW TABLES")}
    assert found == {"t", "we`ird t", "nothing", "v", "numbers"}


def test_a_cut_dump_is_refused_and_leaves_no_database(backups, shop_url, into, monkeypatch):
    backup = backups.create(order(SECRET))
    monkeypatch.setattr(
        "dteg.backups.restoration.read_file", lambda *arguments: iter([b"CREATE TABLE x (y int);\n"])
    )
    with pytest.raises(DamagedBackupError):
        backups.restore(RestoreOrder(id=backup.id, into=into))
    assert run(shop_url, f"SHOW DATABASES LIKE '{into}'") == ()


def test_no_such_database_is_said_without_the_password(backups, shop_url, monkeypatch):
    monkeypatch.setenv("SHOP_URL", mariadb.renamed(shop_url, "no_such"))
    with pytest.raises(PermanentError, match="no database no_such") as error:
        backups.create(order(SECRET))
    assert urlsplit(shop_url).password not in str(error.value)

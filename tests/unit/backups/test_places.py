"""What people write: targets, databases and orders."""

import pytest
from pydantic import ValidationError

from dteg.backups.errors import DamagedBackupError
from dteg.backups.models import NewBackup, RestoreOrder
from dteg.backups.postgres_restore import _dated, _value
from dteg.backups.sources import source_of
from dteg.backups.sql_reader import SqlReader
from dteg.backups.targets import open_target, slug_of
from dteg.backups.targets.port import is_of
from dteg.core.errors import ConfigError
from dteg.core.project import Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://me:pw@host:5433/warehouse?sslmode=require")
    monkeypatch.delenv("DTEG_BACKUP_TARGET", raising=False)
    return Project(tmp_path)


def test_folders_are_targets(project, tmp_path, monkeypatch):
    assert open_target("", project).uri == (tmp_path / "backups").as_uri()
    assert open_target("else/where", project).uri == (tmp_path / "else/where").as_uri()
    assert open_target("file:///some%20where", project).root.as_posix() == "/some where"
    monkeypatch.setenv("DTEG_BACKUP_TARGET", "file:///nas")
    assert open_target("", project).uri == "file:///nas"


@pytest.mark.parametrize(
    "uri", ["ftp://x/y", "file://host/x", "s3://", "sftp://", "sftp://me:pw@host/x", "s3://b/x?key=1"]
)
def test_other_uris_are_refused_and_passwords_not_repeated(project, uri):
    with pytest.raises(ConfigError) as error:
        open_target(uri, project)
    assert "pw" not in str(error.value)


def test_a_database_is_a_name_or_a_url(project, monkeypatch):
    source = source_of("shop", project)
    assert (source.name, source.own) == ("shop", True)
    assert "dbname=shop" in source.url
    assert "pw" not in repr(source)
    monkeypatch.setenv("SHOP", "mysql://me:pw@host/shop")
    assert source_of("secret://env/SHOP", project).engine == "mariadb"
    for wrong in ("mysql://host", "oracle://host/x", "a\x00b"):
        with pytest.raises(ConfigError):
            source_of(wrong, project)


def test_orders_hold_no_secret():
    for values in ({"database": "mysql://me:pw@host/shop"}, {"database": "x", "encrypt": True, "key": "abc"}):
        with pytest.raises(ValidationError):
            NewBackup.model_validate(values)
    with pytest.raises(ValidationError, match="--encrypt"):
        NewBackup.model_validate({"database": "x", "key": "secret://env/K"})
    with pytest.raises(ValidationError):
        RestoreOrder(id="../../etc", into="x")


def test_ids_tell_their_database():
    assert slug_of("Ümläut Shop!") == "_ml_ut_shop_"
    assert is_of("shop-20261121T093000Z-abcdef", "shop")
    assert not is_of("shop-2-20261121T093000Z-abcdef", "shop")
    assert not is_of("../shop-20261121T093000Z-abcdef", "shop")


def test_the_kept_database_has_a_name_that_fits():
    assert len(_dated("ü" * 31).encode()) <= 63


def test_settings_with_lists_keep_their_items():
    assert _value("search_path", '"$user", public, "a""b"').as_string() == "'$user', 'public', 'a\"b'"
    assert _value("work_mem", "64MB").as_string() == "'64MB'"


def test_dumps_of_mariadb_are_read_by_row():
    dump = (
        b"CREATE TABLE `t` (\n  `a` int\n);\nINSERT INTO `t` VALUES\n(1,'x\\n'),\n(2,'(y)');\n"
        b"INSERT INTO `t` VALUES (3,NULL);\nCREATE TABLE `e` (\n);\n-- Dump completed\n"
    )
    reader = SqlReader()
    for at in range(0, len(dump), 5):
        reader.feed(dump[at : at + 5])
    assert {table.name: table.rows for table in reader.finish().tables} == {"t": 3, "e": 0}
    for cut in (dump[:-18], dump[:40], b""):
        reader = SqlReader()
        reader.feed(cut)
        with pytest.raises(DamagedBackupError):
            reader.finish()

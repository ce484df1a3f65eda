"""A project, and a database that is backed up."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from dteg.backups.service import Backups
from dteg.core.project import Project
from dteg.testing.servers import database

TABLES = """
CREATE TABLE items (id int PRIMARY KEY, name text, filler text);
INSERT INTO items SELECT i, md5(i::text), repeat(md5((i * 7)::text), 3) FROM generate_series(1, 6000) AS i;
CREATE TABLE more AS SELECT id, name FROM items WHERE id % 3 = 0;
CREATE SEQUENCE numbers START 9;
SELECT lo_from_bytea(0, 'large'::bytea);
"""


@pytest.fixture
def project(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "project" / "pipelines").mkdir(parents=True)
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("DTEG_HOME", str(tmp_path / "project"))
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("DTEG_BACKUP_TARGET", "DTEG_BACKUP_KEY", "DTEG_BACKUP_TRUSTED_KEYS"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path / "project")


@pytest.fixture
def backups(project: Project) -> Backups:
    return Backups.of(project)


@pytest.fixture
def items(postgres_server: str) -> Iterator[str]:
    """Name of a database with two tables."""
    with database(postgres_server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLES)
        yield urlsplit(url).path[1:]

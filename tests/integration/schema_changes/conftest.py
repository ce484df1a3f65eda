"""A project over an empty database that is listened to."""

import contextlib

import psycopg
import pytest

from dteg.core.project import Project
from dteg.schema_changes.service import SchemaChanges


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/integration/schema_changes" in item.path.as_posix():
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def project(postgres_url, tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    return Project(tmp_path)


@pytest.fixture
def db(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def past_triggers(db):
    """Run statements that no event trigger sees."""

    @contextlib.contextmanager
    def bypass():
        if db.info.server_version >= 170_000:
            off, on = "SET event_triggers = off", "RESET event_triggers"
        else:
            names = ("dteg_schema_ddl", "dteg_schema_drop")
            off, on = (
                "; ".join(f"ALTER EVENT TRIGGER {name} {state}" for name in names)
                for state in ("DISABLE", "ENABLE ALWAYS")
            )
        db.execute(off)
        yield
        db.execute(on)

    return bypass


@pytest.fixture
def changes(project, db):
    """The schema changes of the project; its database is listened to."""
    db.execute("CREATE SCHEMA raw; CREATE TABLE raw.t (id integer PRIMARY KEY, a integer, b text NOT NULL)")
    service = SchemaChanges.of(project)
    service.listen()
    return service


@pytest.fixture
def told(changes):
    """Return what was told since the last call: (command, object, columns)."""
    cursor = changes.last()

    def news(*, snapshot=False, routine=False):
        nonlocal cursor
        changes.catch_up(snapshot=snapshot)
        found, cursor = changes.read(cursor, routine=routine, catch_up=False)
        return found

    return news

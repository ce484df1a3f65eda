"""The library and a studio give the same: one suite for both, then what only HTTP and pages have."""

import re
from datetime import timedelta

import psycopg
import pytest

from dteg.core.clock import utc_now
from dteg.core.errors import ConfigError, DeniedError, NotFoundError
from dteg.schema_changes.models import ChangeFilter
from dteg.schema_changes.remote import RemoteSchemaChanges
from dteg.schema_changes.service import SchemaChanges
from studio.testing import running_studio

PIPELINE = """
pipeline:
  name: copy_t
  extract: {type: postgres, config: {table: public.t, columns: [a]}}
  load: {type: postgres, config: {table: raw.copy}}
"""


@pytest.fixture(params=["library", "studio"])
def service(request, studio_project):
    if request.param == "library":
        return SchemaChanges.of(studio_project)
    return RemoteSchemaChanges(request.getfixturevalue("studio").client)


@pytest.fixture
def db(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a integer, b text)")
        yield connection


def test_listening(service, db):
    assert service.listening() == []
    assert db.info.dbname in service.databases()
    one = service.listen(truncate=["t"], keeps_text=False)
    assert (one.database, one.mode, one.state, one.truncate) == (db.info.dbname, "triggers", "on", ["t"])
    assert service.listening() == [one] == [service.listening_to("")]
    assert service.listen().truncate == ["t"]
    service.unlisten()
    assert service.listening() == []
    with pytest.raises(NotFoundError, match="begin with"):
        service.unlisten()
    with pytest.raises(ConfigError, match="no such table"):
        service.listen(truncate=["nowhere"])
    with pytest.raises(
        NotFoundError, match="there is no database 'no_such_database' on the warehouse's server"
    ):
        service.listen("no_such_database")


def test_reading(service, db):
    service.listen()
    start = service.last()
    db.execute("ALTER TABLE t ALTER a TYPE bigint; CREATE TABLE u (a integer); DROP TABLE u")
    first, cursor = service.read(start, 2)
    second, end = service.read(cursor)
    assert [each.command for each in (*first, *second)] == ["ALTER TABLE", "CREATE TABLE", "DROP TABLE"]
    assert service.read(end) == ([], end)
    assert end == service.last()
    assert service.change(first[0].id) == first[0]
    with pytest.raises(NotFoundError):
        service.change(end + 1)


def test_filters_and_pages(service, db):
    service.listen()
    db.execute("ALTER TABLE t ADD c integer; CREATE TABLE u (a integer); CREATE SCHEMA s")
    whole = service.changes()
    assert [each.object for each in whole.items] == ["s", "u", "t"]
    part = service.changes(limit=2)
    assert [each.object for each in part.items] == ["s", "u"]
    assert [each.object for each in service.changes(before=part.next).items] == ["t"]
    for wanted, objects in (
        ({"kind": "schema"}, ["s"]),
        ({"table": "public.t"}, ["t"]),
        ({"who": "nobody"}, []),
        ({"found_by": "snapshot"}, []),
        ({"since": utc_now() + timedelta(hours=1)}, []),
        ({"since": utc_now() - timedelta(hours=1), "who": "postgres"}, ["s", "u", "t"]),
        ({"database": "elsewhere"}, []),
        ({"breaking": True}, []),
    ):
        assert [each.object for each in service.changes(ChangeFilter(**wanted)).items] == objects, wanted


def test_breaks(service, db, studio_project):
    (studio_project.pipelines_dir / "copy_t.yaml").write_text(PIPELINE)
    service.listen()
    db.execute("ALTER TABLE t DROP a")
    (change,) = service.changes(ChangeFilter(breaking=True)).items
    (broken,) = service.breaks()
    assert (broken.kind, broken.name, broken.column, broken.change) == ("pipeline", "copy_t", "a", change.id)
    assert service.dismiss(broken.id, "me").mended_by.startswith("dismissed by ")
    assert service.breaks() == []
    assert len(service.breaks(mended=True)) == 1
    with pytest.raises(NotFoundError):
        service.dismiss(broken.id, "me")


def test_catch_up_and_prune(service, db, past_triggers):
    assert service.catch_up() is False  # nobody listens
    service.listen()
    with past_triggers():
        db.execute("ALTER TABLE t ADD c integer")
    assert service.catch_up(snapshot=True) is True
    assert [each.found_by for each in service.changes(catch_up=False).items] == ["snapshot"]
    assert service.prune(0) == 1
    assert service.changes().items == []


def test_the_worker_of_a_studio_follows(studio_project, db):
    with running_studio(studio_project, background=True) as studio:
        service = RemoteSchemaChanges(studio.client)
        service.listen()
        db.execute("ALTER TABLE t ADD c integer")
        found, cursor = [], 0
        deadline = utc_now() + timedelta(seconds=120)
        while not found and utc_now() < deadline:
            found, cursor = service.read(cursor, catch_up=False)
        assert [each.summary for each in found] == ["ALTER TABLE public.t; c integer added"]


def test_pages(studio, studio_project, db):
    (studio_project.pipelines_dir / "copy_t.yaml").write_text(PIPELINE)
    browser = studio.browser()
    csrf = studio.csrf_of(browser)
    assert "Nobody listens yet" in browser.get("/schema-changes").text
    name = db.info.dbname
    answer = browser.post(
        "/schema-changes/listening", data={"csrf": csrf, "database": name, "truncate": "nowhere"}
    )
    assert answer.status_code == 422
    assert "no such table" in answer.text
    answer = browser.post("/schema-changes/listening", data={"csrf": csrf, "database": name, "truncate": "t"})
    assert answer.status_code == 303
    assert "TRUNCATE of t" in browser.get("/schema-changes/listening").text
    db.execute('ALTER TABLE t DROP a; ALTER TABLE t RENAME TO "<script>alert(1)</script>"')
    page = browser.get("/schema-changes").text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "Broken now" in page
    number = re.search(r"/schema-changes/events/(\d+)", page)[1]
    one = browser.get(f"/schema-changes/events/{number}").text
    assert "History of" in one
    assert "Before and after" in one
    assert "Broken now" not in browser.get("/schema-changes?kind=role").text.partition("<h2>")[0]
    assert browser.get("/schema-changes?since=yesterday").status_code == 422
    assert "column a of public.t was dropped" in browser.get("/").text
    broken = re.search(r"/schema-changes/breaks/(\d+)/dismiss", page)[1]
    for _ in range(2):  # a form that is sent twice does no harm
        answer = browser.post(f"/schema-changes/breaks/{broken}/dismiss", data={"csrf": csrf})
        assert answer.status_code == 303
    assert "Stop listening" in browser.get(f"/schema-changes/listening/{name}/stop").text
    assert browser.post(f"/schema-changes/listening/{name}/stop", data={"csrf": csrf}).status_code == 303
    assert db.execute("SELECT count(*) FROM pg_event_trigger").fetchone() == (0,)


def test_readers_may_not_listen(studio, db):
    service = RemoteSchemaChanges(studio.client_of("read"))
    assert service.changes().items == []
    with pytest.raises(DeniedError, match="write"):
        service.listen()

"""Copied sources as people use them: added, looked at, copied anew when old, and removed."""

import os
import time

import pytest

from dteg.core.control import session
from dteg.core.errors import DtegError, NotFoundError
from dteg.sources.models import NewSource
from dteg.sources.service import Sources
from dteg.sources.staging import keep_upload
from dteg.tables.uploads import Uploads

pytestmark = pytest.mark.integration


@pytest.fixture
def sources(studio_project):
    (studio_project.root / "data").mkdir()
    return Sources.of(studio_project)


def write(sources, text, name="targets.csv"):
    path = sources.project.root / "data" / name
    path.write_text(text)
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
    return f"data/{name}"


def make_new(**options):
    return NewSource(slug="plan", kind="file", options={"path": "data/targets.csv", **options})


def test_a_file_is_added_looked_at_and_refreshed_with_its_drift(sources):
    write(sources, "region,target\nnorth,1\n")
    report = sources.add(make_new())
    assert (report.linked, report.problems, report.source.mode) == (1, [], "staged")
    table = sources.table("plan", "targets")
    assert [(each.name, each.type) for each in table.columns] == [("region", "text"), ("target", "bigint")]
    assert table.staged_at is not None
    assert sources.rows("plan", "targets").rows == [["north", 1]]
    assert sources.test("plan").ok
    write(sources, "region,quota\nnorth,2.5\n")
    drift = sources.refresh("plan").drift
    assert {(each.column, each.change) for each in drift[0].columns} == {
        ("target", "removed"),
        ("quota", "added"),
    }
    assert [row[:1] for row in sources.rows("plan", "targets").rows] == [["north"]]
    assert sources.table("plan", "targets").columns[1].type == "double precision"


def test_an_old_copy_is_made_anew_and_a_failed_one_stays(sources):
    write(sources, "region,target\nnorth,1\n")
    sources.add(make_new(max_stage_age="1h", types=["target=integer"]))
    write(sources, "region,target\nnorth,2\n")
    assert sources.restage("plan", ["targets"], deadline_s=30) == []  # young enough
    with session(sources.project) as connection:
        connection.execute("UPDATE _dteg.source_tables SET staged_at = now() - interval '2 hours'")
    before = sources.table("plan", "targets").staged_at
    assert sources.restage("plan", ["targets"], deadline_s=30) == ["targets"]
    assert sources.rows("plan", "targets").rows == [["north", 2]]
    assert sources.table("plan", "targets").staged_at > before
    with session(sources.project) as connection:
        connection.execute("UPDATE _dteg.source_tables SET staged_at = now() - interval '2 hours'")
    write(sources, "region,target\nnorth,much\n")
    with pytest.raises(DtegError, match=r"much|cannot be copied"):
        sources.restage("plan", ["targets"], deadline_s=30)
    assert sources.rows("plan", "targets").rows == [["north", 2]]


def test_a_file_that_was_sent_goes_with_its_source(sources):
    with Uploads.of(sources.project).incoming("sent.csv") as incoming:
        incoming.write(b"id\n5\n")
        upload = incoming.finish()
    sources.add(make_new(path=keep_upload(sources.project, "plan", upload.id)))
    kept = sources.project.state_dir / "sources" / "plan" / "sent.csv"
    assert kept.is_file()
    assert sources.rows("plan", "sent").rows == [[5]]
    sources.remove("plan")
    assert not kept.exists()
    with pytest.raises(NotFoundError):
        sources.get("plan")


def test_a_source_that_cannot_be_read_is_not_added(sources):
    with pytest.raises(DtegError, match="no such file"):
        sources.add(make_new())
    with pytest.raises(DtegError, match=r"hidden files"):
        sources.add(make_new(path=".dteg/studio/token", format="csv"))
    assert [each.slug for each in sources.sources()] == ["warehouse"]

"""Copied sources and dictionaries on PostgreSQL 15, the oldest warehouse that datasets support."""

import pytest

from dteg.dictionaries.models import DictionaryColumn, NewDictionary
from dteg.dictionaries.service import Dictionaries
from dteg.sources.models import NewSource
from dteg.sources.service import Sources
from studio.testing import empty_project

pytestmark = pytest.mark.integration


@pytest.fixture
def project(debian_hub_database, tmp_path, monkeypatch):
    made = empty_project(tmp_path / "project")
    monkeypatch.setenv("DTEG_POSTGRES_URL", debian_hub_database)
    monkeypatch.setenv("DTEG_HOME", str(made.root))
    return made


def test_dictionary_and_file_work_there_too(project):
    dictionaries = Dictionaries.of(project)
    columns = [DictionaryColumn(name="code"), DictionaryColumn(name="share", type="numeric")]
    dictionaries.create(NewDictionary(slug="countries", key="code", columns=columns), "ann")
    (project.root / "rows.csv").write_text("code,share\nDE,0.10\nFR,0.2\n")
    report = dictionaries.import_file("countries", project.root / "rows.csv", True, "ann")
    assert (report.applied, report.inserted) == (True, 2)
    dictionaries.put("countries", [{"code": "DE", "share": "0.3"}], "bob", delete=["FR"])
    assert [(each.who, each.what) for each in dictionaries.history("countries").items] == [
        ("bob", "update"), ("bob", "delete"), ("ann", "insert"), ("ann", "insert"),
    ]  # fmt: skip
    sources = Sources.of(project)
    sources.add(NewSource(slug="plan", kind="file", options={"path": "rows.csv"}))
    (project.root / "rows.csv").write_text("code,share\nKR,0.5\n")
    assert sources.refresh("plan").linked == 1
    assert sources.rows("plan", "rows").rows == [["KR", 0.5]]

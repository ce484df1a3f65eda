import json
from datetime import date

import pytest
from packaging.specifiers import SpecifierSet

from dteg.core.errors import ConfigError
from dteg.gates import advisories
from dteg.gates.advisories import age_days, load, select


def record(ident="A-1", name="Thing", events=(("introduced", "0"), ("fixed", "1.5")), **more):
    ranges = [{"type": "ECOSYSTEM", "events": [{key: value} for key, value in events]}]
    package = {"name": name, "ecosystem": more.pop("ecosystem", "PyPI")}
    return {
        "id": ident, "modified": "2026-05-01T00:00:00Z", "aliases": ["CVE-2026-1"],
        "affected": [{"package": package, "ranges": ranges}], **more,
    }  # fmt: skip


@pytest.fixture
def snapshot(tmp_path):
    def snapshot(*records):
        for number, each in enumerate(records):
            (tmp_path / f"{number}.json").write_text(json.dumps(each))
        return load(tmp_path)

    return snapshot


def test_shipped_snapshot_is_dated_and_knows_real_weaknesses():
    shipped = load()
    assert shipped.day == date(2024, 10, 10)
    assert shipped.covers is not None
    assert shipped.knows("PyMySQL")
    assert not shipped.knows("nobody-knows-this")
    assert [each.id for each in shipped.of("PyMySQL", "1.1.0")] == ["GHSA-v9hf-5j83-6xpp"]
    assert shipped.of("pymysql", "1.1.1") == []
    assert any("CVE-2020-28493" in each.aliases for each in shipped.of("jinja2", "2.11.2"))
    assert all(
        advisory.ranges or advisory.versions for each in shipped.advisories.values() for advisory in each
    )


@pytest.mark.parametrize(
    ("events", "bad", "good"),
    [
        ((("introduced", "0"), ("fixed", "1.5")), ["0.1", "1.4.9"], ["1.5", "2.0"]),
        ((("introduced", "1.0"), ("fixed", "1.5")), ["1.0", "1.4"], ["0.9", "1.5"]),
        ((("introduced", "1.0"),), ["1.0", "99"], ["0.9"]),
        ((("introduced", "1.0"), ("last_affected", "1.4")), ["1.0", "1.4"], ["0.9", "1.4.1"]),
        (
            (("introduced", "0"), ("fixed", "1"), ("introduced", "2"), ("fixed", "3")),
            ["0.5", "2.5"],
            ["1", "1.5", "3"],
        ),
    ],
)
def test_ranges(snapshot, events, bad, good):
    known = snapshot(record(events=events))
    assert all(known.of("thing", version) for version in bad)
    assert not any(known.of("thing", version) for version in good)


def test_versions_named_one_by_one(snapshot):
    one = record()
    one["affected"][0] = {"package": {"name": "thing", "ecosystem": "PyPI"}, "versions": ["1.0", "1.2"]}
    known = snapshot(one)
    assert known.of("thing", "1.2.0")
    assert not known.of("thing", "1.1")


def test_withdrawn_and_foreign_records_do_not_count(snapshot):
    known = snapshot(
        record(), record("A-2", "other", withdrawn="2026-01-01"), record("A-3", "third", ecosystem="npm")
    )
    assert known.of("thing", "1.0")
    assert not known.of("other", "1.0")
    assert not known.of("third", "1.0")


def test_a_complete_copy_knows_every_package(snapshot):
    assert snapshot(record()).knows("anything")


@pytest.mark.parametrize(
    ("wanted", "safe"),
    [
        ("", True),
        (">=1", True),
        ("==1.0", False),
        ("<1.5", False),
        (">=1,<1.4", False),
        ("==1.5", True),
        ("<2", True),
    ],
)
def test_whether_a_requirement_lets_a_repaired_version_in(snapshot, wanted, safe):
    assert snapshot(record()).has_safe_version("thing", SpecifierSet(wanted)) is safe


def test_yaml_records_and_selection(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "A-1.yaml").write_text(json.dumps(record()))
    (tmp_path / "A-2.json").write_text(json.dumps(record("A-2", "other")))
    chosen = select(tmp_path, ["Thing", "quiet_one"])
    assert chosen["covers"] == ["quiet-one", "thing"]
    assert [each["id"] for each in chosen["records"]] == ["A-1"]
    path = tmp_path / "snapshot.json"
    path.write_text(json.dumps({**chosen, "source": "test"}))
    known = load(path)
    assert known.of("thing", "1.0")
    assert known.knows("quiet-one")
    assert not known.knows("other")


def test_what_cannot_be_read_says_the_variable(tmp_path, monkeypatch):
    for content in ("{", "[]", "{}"):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(ConfigError, match=advisories.VARIABLE):
            load(tmp_path / "x.json")
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv(advisories.VARIABLE, str(empty))
    with pytest.raises(ConfigError, match="no record"):
        load()


def test_age(snapshot):
    assert age_days(snapshot(record()), date(2026, 5, 11)) == 10

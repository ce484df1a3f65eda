"""The package index of one process, with a database that is a dictionary: read in parts, kept, interrupted."""

import asyncio
import gzip
import math
from datetime import UTC, datetime
from types import SimpleNamespace

import orjson
import pytest
from pymongo.errors import AutoReconnect

from registry.index import service
from registry.index.pages import HTML, JSON, Project
from registry.index.service import Index
from registry.releases.models import IndexedFile

pytestmark = pytest.mark.unit
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def file_of(component: str, version: str = "1.0.0") -> IndexedFile:
    name = f"dteg-{component.replace('/', '-')}"
    return IndexedFile(
        component=component, distribution=name, version=version, filename=f"{name}-{version}.whl", size=7,
        sha256=f"{component}-{version}", metadata_sha256="m", requires_python=">=3.11", published_at=NOW, yanked=None,
        free=True,
    )  # fmt: skip


class Components:
    """What `components` and `releases` answer."""

    def __init__(self) -> None:
        self.by_rev: dict[int, str] = {}
        self.newest = 0
        self.asked: list[tuple[int, int]] = []
        self.read: list[list[str]] = []
        self.fail_at = math.inf
        self.meanwhile = lambda: None
        self.version = "1.0.0"

    def change(self, component: str) -> None:
        rev = self.newest = self.newest + 1
        self.by_rev = {old: name for old, name in self.by_rev.items() if name != component} | {rev: component}

    async def revs(self, after: int, limit: int) -> dict[str, int]:
        self.asked.append((after, limit))
        found = sorted((rev, name) for rev, name in self.by_rev.items() if rev > after)[:limit]
        self.meanwhile()
        return {name: rev for rev, name in found}

    async def last_rev(self) -> int:
        return self.newest

    async def files_between(self, first: str, last: str) -> list[IndexedFile]:
        return await self.files_of(sorted(name for name in self.by_rev.values() if first <= name <= last))

    async def files_of(self, components: list[str]) -> list[IndexedFile]:
        self.read.append(components)
        if len(self.read) == self.fail_at:
            raise AutoReconnect("gone")
        return [file_of(name, self.version) for name in components]


@pytest.fixture
def database() -> Components:
    return Components()


@pytest.fixture
def make(database, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "_REVS_AT_ONCE", 2)
    monkeypatch.setattr(service, "_AT_ONCE", 2)

    def index() -> Index:
        settings = SimpleNamespace(data_dir=tmp_path, database="dteg_registry")
        return Index(
            SimpleNamespace(
                components=database, releases=database, database=None, clock=lambda: NOW, settings=settings
            )
        )

    return index


def test_a_large_registry_is_read_in_parts(make, database):
    for name in ("a/one", "a/two", "a/three", "a/four", "a/five"):
        database.change(name)
    index = make()
    asyncio.run(index.refresh())
    assert database.asked == [(0, 2), (2, 2), (4, 2)]
    assert [len(each) for each in database.read] == [2, 2, 1]
    assert len(index.names.all) == 5
    database.change("a/two")
    asyncio.run(index.refresh())
    assert (database.asked[-1], database.read[-1]) == ((5, 2), ["a/two"])
    asyncio.run(index.refresh())
    assert len(database.read) == 4, "nothing changed, so nothing is read"


def test_what_changes_during_the_reading_is_read_again(make, database):
    for name in ("a/one", "a/two", "a/three"):
        database.change(name)
    changes = iter(["a/one"])
    database.meanwhile = lambda: [database.change(name) for name in (next(changes, ""),) if name]
    index = make()
    asyncio.run(index.refresh())
    assert index._revs == {"a/one": 4, "a/two": 2, "a/three": 3}


def test_an_interruption_loses_no_change(make, database):
    for name in ("a/one", "a/two", "a/three"):
        database.change(name)
    database.fail_at = 2
    index = make()
    with pytest.raises(AutoReconnect):
        asyncio.run(index.refresh())
    assert index.names.all == {"dteg-a-one", "dteg-a-three"}
    assert index.stale_s, "what is not known to be complete is stale"
    asyncio.run(index.refresh())
    assert index.names.all == {"dteg-a-one", "dteg-a-two", "dteg-a-three"}
    assert database.read[-1] == ["a/two"], "what was read before is not read again"


def test_what_is_gone_is_taken_out_at_the_next_full_look(make, database):
    for name in ("a/one", "a/two"):
        database.change(name)
    index = make()
    asyncio.run(index.refresh())
    del database.by_rev[1]
    index._looked_fully = -math.inf
    asyncio.run(index.refresh())
    assert (index.names.all, set(index._revs)) == ({"dteg-a-two"}, {"a/two"})
    assert asyncio.run(index.file("a/one-1.0.0", file_of("a/one").filename)) is None


def test_it_is_kept_for_a_start_without_the_database_and_not_after_each_change(make, database, tmp_path):
    database.change("a/one")
    index = make()
    asyncio.run(index.refresh())
    kept = tmp_path / "index.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    before = kept.read_bytes()
    index._save_after = math.inf  # a large index was just saved
    database.change("a/two")
    asyncio.run(index.refresh())
    assert kept.read_bytes() == before
    asyncio.run(index.stop())
    other = make()
    other._load()
    assert other.names.all == {"dteg-a-one", "dteg-a-two"}
    assert other.project("dteg-a-two").files == index.project("dteg-a-two").files
    assert other.project("dteg-a-two").page(JSON) == index.project("dteg-a-two").page(JSON)
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b'{"format": 2}\n[]', b'{"format": 3, "database": "dteg_registry"}\n[]',
        b'{"format": 3, "database": "dteg_registry"}\n[{"component": 1}]\n{"files": 1, "revs": {}}',
        b'{"format": 3, "database": "dteg_registry"}\n{"files": 1, "revs": {"a/one": 1}}',
    ],
)  # fmt: skip
def test_a_kept_index_that_cannot_be_read_is_none(make, tmp_path, content):
    (tmp_path / "index.json").write_bytes(content)
    index = make()
    index._load()
    assert index.names.all == frozenset()


def started(index: Index) -> Index:
    """As a process does, but for the polling."""
    index._load()
    asyncio.run(index.refresh())
    return index


def test_a_start_reads_only_what_has_changed_since_it_was_kept(make, database):
    for name in ("a/one", "a/two", "a/three"):
        database.change(name)
    started(make())
    read = len(database.read)
    assert started(make()).names.all == {"dteg-a-one", "dteg-a-two", "dteg-a-three"}
    assert len(database.read) == read, "nothing changed, so no files are read"
    database.version = "1.1.0"
    database.change("a/two")
    index = started(make())
    assert database.read[read:] == [["a/two"]]
    versions = {name: [file.version for file in index.project(name).files] for name in index.names.all}
    assert versions == {"dteg-a-one": ["1.0.0"], "dteg-a-two": ["1.1.0"], "dteg-a-three": ["1.0.0"]}


def test_what_was_kept_is_taken_out_if_it_is_gone(make, database):
    for name in ("a/one", "a/two"):
        database.change(name)
    started(make())
    del database.by_rev[2]
    assert started(make()).names.all == {"dteg-a-one"}


def test_numbers_of_a_database_that_was_put_back_are_not_believed(make, database):
    """The same number stands for another change there; a running process sees it at its next full look."""
    for name in ("a/one", "a/two"):
        database.change(name)
    running = started(make())
    database.by_rev, database.newest, database.version = {1: "a/one", 2: "a/two"}, 2, "0.9.0"
    started(make())
    assert running.project("dteg-a-two").files[0].version == "1.0.0", (
        "as far as it has come, it may be the same"
    )
    database.by_rev, database.newest = {1: "a/two"}, 1
    assert started(make()).project("dteg-a-two").files[0].version == "0.9.0"
    running._looked_fully = -math.inf
    asyncio.run(running.refresh())
    assert running.names.all == {"dteg-a-two"}
    assert running.project("dteg-a-two").files[0].version == "0.9.0"


def test_what_was_kept_of_another_database_is_not_used(make, database, monkeypatch):
    database.change("a/one")
    started(make())
    other = make()
    other.settings.database = "another"
    other._load()
    assert other.names.all == frozenset()


def test_without_the_database_a_start_shows_what_was_kept(make, database, monkeypatch):
    database.change("a/one")
    started(make())

    async def gone(*_: object) -> int:
        raise AutoReconnect("gone")

    monkeypatch.setattr(database, "last_rev", gone)
    index = make()

    async def start() -> None:
        await index.start()
        await index.stop()

    asyncio.run(start())
    assert index.names.all == {"dteg-a-one"}
    assert index.stale_s == math.inf


def test_a_page_is_kept_packed_and_only_as_json():
    project = Project("dteg-a-one", [file_of("a/one", f"1.{number}.0") for number in range(5)])
    page = project.page(JSON)
    assert page.packed is not None
    assert (page.small, page.body) == (b"", gzip.decompress(page.packed))
    assert len(orjson.loads(page.body)["files"]) == 5
    assert project.page(JSON) is page
    assert project.page(HTML) is not project.page(HTML), "nothing grows with what is asked for"
    assert project.page(HTML) == project.page(HTML)
    assert not hasattr(project, "__dict__")

"""The same versions in a folder and in S3 as moto plays it.

NOT RUN HERE: GOOGLE CLOUD STORAGE AND AZURE. They are the same code as S3 (`ObjectStore`, through obstore).
"""

import threading
from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError, InputError
from dteg.metadata.models import CacheManifest, ColumnEntry, TableDocument, TableEntry
from dteg.metadata.publish import Publisher
from dteg.metadata.store import open_store
from tests.integration.backups.conftest import s3_uri, s3_url  # noqa: F401 - fixtures

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(params=["file", "s3"])
def uri(request, tmp_path):
    return str(tmp_path / "cache") if request.param == "file" else request.getfixturevalue("s3_uri")


def make_document(table_id, description=""):
    columns = [ColumnEntry(name="id", type="integer")]
    table = TableEntry(table_id=table_id, last_updated=NOW, columns=columns, description=description)
    return TableDocument(generated_at=NOW, table=table)


def test_objects_are_written_read_replaced_on_a_condition_and_deleted(uri):
    store = open_store(uri)
    assert store.read("a/b.json") is None
    assert store.replace("a/b.json", b"1", None)
    assert not store.replace("a/b.json", b"2", None)
    first = store.read("a/b.json")
    assert first.data == b"1"
    assert store.replace("a/b.json", b"2", first.tag)
    assert not store.replace("a/b.json", b"3", first.tag)
    store.write("a/c.json", b"4")
    assert [key.name for key in store.keys("a")] == ["a/b.json", "a/c.json"]
    store.delete("a/b.json")
    store.delete("a/b.json")
    assert store.read("a/b.json") is None
    assert not store.replace("a/b.json", b"5", first.tag)


def test_two_publishers_never_mix_versions(uri):
    ids = ["public.a", "public.b", "public.c"]

    def work(mark):
        publisher = Publisher(open_store(uri))
        for turn in range(3):
            documents = [make_document(name, f"{mark} {turn}") for name in ids]
            publisher.publish(CacheManifest(generated_at=NOW), documents, {}, {})

    threads = [threading.Thread(target=work, args=(mark,)) for mark in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publisher = Publisher(open_store(uri))
    seen = []
    for version in [entry.cache_version for entry in publisher.current().history]:
        manifest = publisher.rollback(version)
        marks = {publisher.document(table).table.description for table in manifest.tables}
        assert len(marks) == 1
        seen += marks
    assert len(set(seen)) == 5
    assert publisher.current().cache_version == 11


def test_a_changed_object_is_refused(uri):
    publisher = Publisher(open_store(uri), lambda: NOW)
    made = publisher.publish(CacheManifest(generated_at=NOW), [make_document("public.a")], {}, {})
    publisher.store.write(made.tables[0].file, b'{"schema": "mine"}')
    with pytest.raises(InputError, match="not those that were published"):
        publisher.document(made.tables[0])


def test_other_places_are_refused():
    with pytest.raises(ConfigError, match="no place for a cache"):
        open_store("ftp://host/cache")

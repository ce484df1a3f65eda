"""The same versions in a folder, in S3 as moto plays it, and in Azure as Azurite plays it where that is installed.

NOT RUN HERE: GOOGLE CLOUD STORAGE. It is the same code as S3 (`ObjectStore`, through obstore), but obstore speaks the XML
protocol there, which no server that runs on one machine knows: `gcp-storage-emulator` and `fake-gcs-server` refuse it.
"""

import contextlib
import secrets
import threading
from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError, EnvironmentProblemError, InputError
from dteg.metadata.client import MetadataClient
from dteg.metadata.models import CacheManifest, ColumnEntry, TableDocument, TableEntry
from dteg.metadata.publish import Publisher
from dteg.metadata.store import open_store
from tests.integration.backups.conftest import s3_uri, s3_url  # noqa: F401 - fixtures
from tests.integration.metadata.azurite import CONTAINER, azurite

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def azurite_url(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(azurite(tmp_path_factory.mktemp("azurite")))
        except EnvironmentProblemError as error:
            pytest.skip(f"no Azurite here, so AZURE IS NOT TESTED: {error}")
        yield url


@pytest.fixture
def az_uri(azurite_url, monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", azurite_url)
    return f"az://{CONTAINER}/{secrets.token_hex(4)}"


@pytest.fixture(params=["file", "s3_uri", "az_uri"])
def uri(request, tmp_path):
    return str(tmp_path / "cache") if request.param == "file" else request.getfixturevalue(request.param)


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


def test_the_client_reads_what_was_published(uri, tmp_path):
    publisher = Publisher(open_store(uri), lambda: NOW)
    publisher.publish(CacheManifest(generated_at=NOW), [make_document("public.a", "first")], {}, {})
    clock = [NOW.timestamp()]
    client = MetadataClient(uri, "1m", "1m", cache_dir=tmp_path / "copies", clock=lambda: clock[0])
    assert client.get_schema_info("a")["description"] == "first"
    clock[0] += 100  # the conditional question is answered with: it is as it was
    assert client.get_cache_metadata()["cache_version"] == 1
    publisher.publish(CacheManifest(generated_at=NOW), [make_document("public.a", "second")], {}, {})
    clock[0] += 100
    assert client.get_schema_info("a")["description"] == "second"


def test_other_places_are_refused():
    with pytest.raises(ConfigError, match="no place for a cache"):
        open_store("ftp://host/cache")

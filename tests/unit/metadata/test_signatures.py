"""Signed and packed caches: who pins a key reads what its owner published, or nothing."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from dteg.core.errors import ConfigError, InputError
from dteg.metadata.client import MetadataClient, TamperedError
from dteg.metadata.client.documents import MAX_DOCUMENT_BYTES, canonical, content_sha256, parse, sha256
from dteg.metadata.models import CacheManifest, ColumnEntry, TableDocument, TableEntry
from dteg.metadata.publish import Publisher
from dteg.metadata.store import FolderStore
from dteg.signing import SigningKey

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY, OTHER = SigningKey.generate(), SigningKey.generate()


def make_document(note="", table_id="public.orders"):
    columns = [ColumnEntry(name="id", type="integer")]
    table = TableEntry(table_id=table_id, last_updated=NOW, columns=columns, description=note)
    return TableDocument(generated_at=NOW, table=table)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def publish(cache, note="", **options):
    publisher = Publisher(FolderStore(cache), lambda: NOW, **options)
    return publisher.publish(CacheManifest(generated_at=NOW), [make_document(note)], {}, {})


def client(cache, key="", **options):
    return MetadataClient(str(cache), public_key=key, **options)


def changed(cache, **facts):
    """Change a manifest as somebody would who may write to the bucket: with a checksum that fits."""
    path = cache / "manifest.json"
    document = json.loads(path.read_text()) | facts
    document["content_sha256"] = content_sha256(document)
    path.write_text(json.dumps(document))


def test_what_the_owner_of_the_key_published_is_read(cache):
    publish(cache, "signed", key=KEY)
    assert client(cache, KEY.public).get_schema_info("orders")["description"] == "signed"
    assert client(cache).get_schema_info("orders")["description"] == "signed"


def test_an_unsigned_one_is_refused(cache):
    publish(cache)
    with pytest.raises(TamperedError, match="not signed"):
        client(cache, KEY.public).get_schema_info()
    assert client(cache).is_cache_available()


def test_one_signed_by_another_key_is_refused(cache):
    publish(cache, key=OTHER)
    with pytest.raises(TamperedError, match="not a key that is trusted"):
        client(cache, KEY.public).get_schema_info()


@pytest.mark.parametrize(
    "facts",
    [
        {"expires_at": "2036-01-01T00:00:00Z"},
        {"cache_version": 99},
        {"tables": []},
        {"signature": None},
        {"signature": "yes"},
        {"signature": {"payload": "", "payloadType": "application/vnd.in-toto+json", "signatures": []}},
        {"more": "keys"},
    ],
    ids=str,
)
def test_a_changed_one_is_refused_though_its_checksum_fits(cache, facts):
    publish(cache, key=KEY)
    changed(cache, **facts)
    with pytest.raises(TamperedError):
        client(cache, KEY.public).get_schema_info()


def test_a_signature_of_another_manifest_does_not_fit(cache, tmp_path):
    publish(cache, "one", key=KEY)
    publish(tmp_path / "other", "two", key=KEY)
    stolen = json.loads((tmp_path / "other" / "manifest.json").read_text())["signature"]
    changed(cache, signature=stolen)
    with pytest.raises(TamperedError, match="is for a file with"):
        client(cache, KEY.public).get_schema_info()


def test_an_object_that_the_manifest_does_not_name_is_refused(cache):
    made = publish(cache, key=KEY)
    (cache / made.tables[0].file).write_bytes(
        canonical({"schema": {"table_id": "public.orders", "columns": []}})
    )
    with pytest.raises(TamperedError, match="not what the manifest names"):
        client(cache, KEY.public).get_schema_info()


def test_an_older_version_that_was_put_back_is_refused(cache, tmp_path):
    publish(cache, "one", key=KEY)
    old = (cache / "manifest.json").read_bytes()
    publish(cache, "two", key=KEY)
    options = {"cache_dir": tmp_path / "copies", "memory_ttl": "1s", "file_expiry": "1s"}
    reader = client(cache, KEY.public, **options)
    assert reader.get_schema_info("orders")["description"] == "two"
    (cache / "manifest.json").write_bytes(old)
    with pytest.raises(TamperedError, match="version 1, and version 2 was read before"):
        reader.refresh()
    assert reader.get_schema_info("orders")["description"] == "two"
    with pytest.raises(TamperedError):
        client(cache, KEY.public, strict=True, clock=lambda: NOW.timestamp() * 2, **options).get_schema_info()


def test_what_was_read_before_is_served_as_stale(cache):
    seconds = [NOW.timestamp()]
    publish(cache, "one", key=KEY)
    reader = client(cache, KEY.public, memory_ttl="1m", clock=lambda: seconds[0])
    reader.get_schema_info()
    changed(cache, tables=[])
    seconds[0] += timedelta(hours=1).total_seconds()
    assert reader.get_schema_info("orders")["description"] == "one"
    told = reader.get_cache_metadata()
    assert told["stale"]
    assert "signature is refused" in told["why"]


def test_a_key_that_is_none_is_said_at_once(cache):
    with pytest.raises(ConfigError, match="32 bytes"):
        client(cache, "abc")


def test_the_publisher_trusts_nothing_that_its_key_did_not_sign(cache):
    publish(cache)
    with pytest.raises(InputError, match="not signed"):
        publish(cache, key=KEY)
    publish(cache, key=KEY, repair=True)
    assert client(cache, KEY.public).is_cache_available()
    changed(cache, tables=[])
    with pytest.raises(InputError, match="signature is refused"):
        publish(cache, key=KEY)


def test_without_the_key_nobody_publishes_over_a_signed_version(cache):
    publish(cache, key=KEY)
    for repair in (False, True):
        with pytest.raises(ConfigError, match="DTEG_METADATA_KEY"):
            publish(cache, repair=repair)


def test_every_way_to_publish_signs(cache):
    publish(cache, "one", key=KEY)
    publish(cache, "two", key=KEY)
    publisher = Publisher(FolderStore(cache), lambda: NOW, key=KEY)
    publisher.rollback(1)
    assert client(cache, KEY.public).get_schema_info("orders")["description"] == "one"
    publisher.renew(publisher.current(), {})
    assert client(cache, KEY.public).get_cache_metadata()["cache_version"] == 3


def test_packed_objects_are_smaller_and_read_by_all(cache, tmp_path):
    made = publish(cache, "long " * 400, gzip=True)
    file = cache / made.tables[0].file
    assert file.name.endswith(".json.gz")
    assert file.stat().st_size < len(gzip.decompress(file.read_bytes())) / 2
    assert publish(tmp_path / "again", "long " * 400, gzip=True).tables == made.tables
    assert client(cache).get_schema_info("orders")["description"].startswith("long")
    assert Publisher(FolderStore(cache)).document(made.tables[0]).table.table_id == "public.orders"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (gzip.compress(b" " * (MAX_DOCUMENT_BYTES + 1)), "more than"),
        (gzip.compress(b"{}")[:-4], "cut off"),
        (gzip.compress(b"{}") + b"{}", "follows"),
        (b"\x1f\x8bnothing", "no gzip"),
    ],
    ids=["bomb", "cut off", "more", "none"],
)
def test_what_is_packed_badly_is_refused(data, why):
    with pytest.raises(TamperedError, match=why):
        parse(data, "x")


def test_objects_of_before_signatures_and_packing_are_read(cache):
    """As a manifest and an object without the newer keys look: their checksums are of the keys that they have."""
    publish(cache, "old")
    document = json.loads((cache / "manifest.json").read_text())
    table = json.loads((cache / document["tables"][0]["file"]).read_text())
    del table["source"], table["schema"]["metrics"], table["content_sha256"]
    table["content_sha256"] = content_sha256(table)
    data = canonical(table)
    file = f"tables/public.orders/{sha256(data)}.json"
    (cache / file).write_bytes(data)
    document["tables"][0] |= {"file": file, "sha256": sha256(data)}
    del document["signature"]
    changed_document = document | {"content_sha256": content_sha256(document)}
    (cache / "manifest.json").write_text(json.dumps(changed_document))
    publisher = Publisher(FolderStore(cache), lambda: NOW)
    assert publisher.document(publisher.current().tables[0]).table.description == "old"
    assert client(cache).get_schema_info("orders")["description"] == "old"


def test_older_clients_read_what_is_signed(cache):
    """They leave out keys that they do not know, and take the checksum of all that there is."""
    publish(cache, key=KEY)
    document = json.loads((cache / "manifest.json").read_text())
    assert document["signature"]
    assert document["content_sha256"] == content_sha256(document)


def test_cryptography_is_only_for_who_gives_a_key(cache):
    publish(cache, key=KEY)
    told = "import sys; from dteg.metadata.client import MetadataClient; MetadataClient({!r}, public_key={!r}).get_schema_info(); print('cryptography' in sys.modules)"
    for key, expected in (("", "False"), (KEY.public, "True")):
        done = subprocess.run(
            [sys.executable, "-c", told.format(str(cache), key)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected

"""Versions of a cache in a folder: whole, checked, and able to be returned to."""

import json
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from dteg.core.errors import InputError, NotFoundError
from dteg.metadata.client.documents import content_sha256
from dteg.metadata.models import CacheManifest, ColumnEntry, TableDocument, TableEntry
from dteg.metadata.publish import Publisher
from dteg.metadata.store import FolderStore

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def make_document(table_id="public.orders", description="", **values):
    columns = [ColumnEntry(name="id", type="integer", mode="REQUIRED", description="Number.")]
    table = TableEntry(
        table_id=table_id,
        last_updated=NOW,
        columns=columns,
        description=description,
        fingerprint_sha256="f" * 64,
    )
    return TableDocument(generated_at=NOW, table=table, **values)


def publish(publisher, *documents):
    return publisher.publish(CacheManifest(generated_at=NOW), documents, {}, {})


@pytest.fixture
def publisher(tmp_path):
    return Publisher(FolderStore(tmp_path / "cache"), lambda: NOW)


def test_the_original_keys_come_first_and_stay_valid(publisher, tmp_path):
    publish(publisher, make_document())
    document = json.loads((tmp_path / "cache" / "latest" / "public.orders.json").read_text())
    assert list(document)[:3] == ["generated_at", "schema", "examples"]
    assert list(document["schema"])[:3] == ["table_id", "last_updated", "columns"]
    assert list(document["schema"]["columns"][0])[:4] == ["name", "type", "mode", "description"]
    assert document["schema"]["columns"][0]["mode"] == "REQUIRED"
    assert document["content_sha256"] == content_sha256(document)


def test_keys_of_a_later_version_are_ignored():
    values = json.loads(make_document().model_dump_json(by_alias=True))
    values["schema"]["columns"][0]["colour"] = "red"
    values["weather"] = "fine"
    assert TableDocument.model_validate(values).table.column("id").type == "integer"


def test_a_version_names_its_objects_by_their_contents(publisher):
    made = publish(publisher, make_document(), make_document("public.customers"))
    assert made.cache_version == 1
    assert [table.table_id for table in made.tables] == ["public.customers", "public.orders"]
    assert publisher.current() == made
    assert publisher.document(made.tables[1]).table.table_id == "public.orders"
    again = publish(publisher, make_document(), make_document("public.customers"))
    assert [table.file for table in again.tables] == [table.file for table in made.tables]
    assert again.cache_version == 2


def test_an_object_that_somebody_changed_is_refused(publisher, tmp_path):
    made = publish(publisher, make_document())
    path = tmp_path / "cache" / made.tables[0].file
    good = path.read_bytes()
    for bad in (good.replace(b"Number", b"Numbex"), good[:-10], b"", b"[]", b"\xff" + good):
        path.write_bytes(bad)
        with pytest.raises(InputError, match="not those that were published"):
            publisher.document(made.tables[0])
    path.unlink()
    with pytest.raises(InputError, match="not there"):
        publisher.document(made.tables[0])


def test_a_manifest_that_somebody_changed_is_refused(publisher, tmp_path):
    publish(publisher, make_document())
    path = tmp_path / "cache" / "manifest.json"
    good = path.read_text()
    path.write_text(good.replace('"cache_version": 1', '"cache_version": 9'))
    with pytest.raises(InputError, match="checksum"):
        publisher.current()
    path.write_text("{}")
    with pytest.raises(InputError, match="no manifest"):
        publisher.current()
    mended = publish(Publisher(publisher.store, lambda: NOW, repair=True), make_document())
    assert publisher.current() == mended


def test_rollback_gives_the_tables_of_a_version_back(publisher):
    first = publish(publisher, make_document(description="old"))
    publish(publisher, make_document(description="new"), make_document("public.more"))
    back = publisher.rollback(1)
    assert (back.cache_version, back.rollback_of) == (3, 1)
    assert back.tables == first.tables
    assert publisher.document(publisher.current().tables[0]).table.description == "old"
    assert [entry.cache_version for entry in back.history] == [2, 1]
    assert publisher.rollback(2).tables != first.tables
    with pytest.raises(NotFoundError, match="there are: 3, 2, 1"):
        publisher.rollback(7)


def test_rollback_to_a_version_with_a_broken_object_changes_nothing(publisher, tmp_path):
    first = publish(publisher, make_document(description="old"))
    second = publish(publisher, make_document(description="new"))
    (tmp_path / "cache" / first.tables[0].file).write_bytes(b"{}")
    with pytest.raises(InputError):
        publisher.rollback(1)
    assert publisher.current() == second


def test_thirty_versions_are_kept_and_what_nobody_refers_to_goes(tmp_path):
    clock = [NOW]
    publisher = Publisher(FolderStore(tmp_path / "cache"), lambda: clock[0], keep=3)
    for number in range(6):
        publish(publisher, make_document(description=f"number {number}"))
        for path in (tmp_path / "cache").rglob("*.json"):
            old = (NOW - timedelta(hours=2)).timestamp()
            os.utime(path, (old, old))
    publisher.prune(publisher.current())
    assert [entry.cache_version for entry in publisher.current().history] == [5, 4]
    assert len(publisher.store.keys("tables")) == 3
    assert len(publisher.store.keys("versions")) == 2
    publisher.rollback(4)


def test_nothing_is_deleted_while_an_old_version_is_broken(publisher, tmp_path):
    publish(publisher, make_document(description="old"))
    made = publish(publisher, make_document(description="new"))
    for path in (tmp_path / "cache").rglob("*.json"):
        os.utime(path, (0, 0))
    (tmp_path / "cache" / made.history[0].file).write_bytes(b"{}")
    publisher.store.write("tables/public.gone/x.json", b"")
    os.utime(tmp_path / "cache" / "tables/public.gone/x.json", (0, 0))
    assert publisher.prune(made) == 0
    (tmp_path / "cache" / "tables/public.gone/x.json").read_bytes()


def test_nothing_outside_the_folder_is_read(publisher, tmp_path):
    (tmp_path / "secret").write_text("hunter2")
    publish(publisher, make_document())
    assert publisher.store.read("../secret") is None
    assert publisher.store.read(str(tmp_path / "secret")) is None


def test_what_was_just_written_is_not_pruned(publisher):
    publisher.store.write("tables/public.orders/half.json", b"of a publisher at work")
    made = publish(Publisher(publisher.store), make_document())
    assert publisher.store.read("tables/public.orders/half.json") is not None
    assert publisher.prune(made) == 0


def test_concurrent_publishers_never_mix_versions(tmp_path):
    """Each publisher's tables carry its mark: a manifest with two marks would be a mixture."""
    store, errors, stop = FolderStore(tmp_path / "cache"), [], threading.Event()
    ids = [f"public.t{number}" for number in range(5)]

    def work(mark):
        publisher = Publisher(FolderStore(tmp_path / "cache"))
        for turn in range(8):
            publish(publisher, *(make_document(name, f"{mark} {turn}") for name in ids))

    def read():
        reader = Publisher(store)
        while not stop.is_set():
            manifest = reader.current()
            if manifest is None:
                continue
            marks = {reader.document(table).table.description for table in manifest.tables}
            if len(marks) != 1 or len(manifest.tables) != len(ids):
                errors.append(marks)

    publishers = [threading.Thread(target=work, args=(f"publisher {number}",)) for number in range(4)]
    reader = threading.Thread(target=read)
    reader.start()
    for thread in publishers:
        thread.start()
    for thread in publishers:
        thread.join()
    stop.set()
    reader.join()
    assert errors == []
    final = Publisher(store).current()
    assert final.cache_version == 32
    assert [entry.cache_version for entry in final.history] == list(range(31, 2, -1))


def test_names_of_tables_cannot_leave_the_folder(publisher, tmp_path):
    made = publish(publisher, make_document("../../etc.passwd/x"))
    inside = (tmp_path / "cache" / made.tables[0].file).resolve()
    assert inside.is_relative_to(tmp_path / "cache")
    assert inside.is_file()

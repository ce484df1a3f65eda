"""The reader of pg_dump's stream, on archives written here: any cut of the stream into pieces gives the same."""

import random

import pytest

from dteg.backups.archive import ArchiveReader, Look
from dteg.backups.errors import DamagedBackupError
from dteg.backups.rows import RowSums

TABLE_ROWS = {
    "ten": [b"123456789", b"", b"x" * 265, b"\\\\.", b"a\tb"],  # lengths with the newline's own byte in them
    "empty": [],
    "long": [b"y" * 3_000, b"z" * 300_000],
}


def number(value):
    return bytes([value < 0]) + abs(value).to_bytes(4, "little")


def text(value):
    return number(-1) if value is None else number(len(value)) + value.encode()


def archive(tables=TABLE_ROWS, *, version="18.6", block_bytes=0, objects=(b"one", b"")):
    """Return an archive as pg_dump writes it into a pipe; with `block_bytes` as newer ones cut their blocks."""
    out = bytearray(b"PGDMP" + bytes([1, 16, 0, 4, 8, 1, 0]))
    out += number(0) * 7 + text("db") + text("18.6") + text(version)
    entries = [(index + 1, "TABLE DATA", name, "shop") for index, name in enumerate(tables)]
    entries.append((90, "BLOBS", "BLOBS", ""))
    out += number(len(entries) + 1)
    for dump_id, kind, name, schema in entries:
        out += entry(dump_id, kind, name, schema=schema)
    out += entry(91, "SEQUENCE SET", "s", has_data=0, schema="shop", definition="SELECT setval('s', 42)")
    for dump_id, rows in enumerate(tables.values(), 1):
        out += bytes([1]) + number(dump_id) + blocks(rows, block_bytes) + number(0)
    out += bytes([3]) + number(90)
    for oid, content in enumerate(objects, 16400):
        out += number(oid) + (number(len(content)) + content if content else b"") + number(0)
    return bytes(out + number(0))


def entry(dump_id, kind, name, *, has_data=1, schema="", definition=""):
    return (
        number(dump_id) + number(has_data) + text("0") + text("16384") + text(name) + text(kind) + number(3)
        + text(definition) + text("") + text("COPY") + text(schema) + text("") + text("heap") + number(114)
        + text("postgres") + text("false") + text("5") + text(None) + b"\x01" + bytes(8)
    )  # fmt: skip


def blocks(rows, block_bytes):
    parts = [row + b"\n" for row in rows] + [b"\\.\n\n\n"]
    if block_bytes:
        whole = b"".join(parts)
        parts = [whole[at : at + block_bytes] for at in range(0, len(whole), block_bytes)]
    return b"".join(number(len(part)) + part for part in parts)


def read(data, look=Look.ROWS, piece=1 << 20):
    reader = ArchiveReader(look)
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    return reader.finish()


def test_rows_are_counted_and_hashed_however_the_stream_is_cut():
    data = archive()
    whole = read(data)
    assert {each.name: each.rows for each in whole.tables} == {
        name: len(rows) for name, rows in TABLE_ROWS.items()
    }
    for table in whole.tables:
        sums = RowSums()
        sums.add(TABLE_ROWS[table.name])
        assert table.checksum == sums.checksum
    for piece in (9_999, 65_536):
        assert read(data, piece=piece) == whole
        assert read(data, Look.HASHES, piece) == read(data, Look.HASHES)
    data = archive({"ten": TABLE_ROWS["ten"], "empty": []})
    for piece in (1, 2, 7, 11):
        assert read(data, piece=piece) == read(data)
        assert read(data, Look.HASHES, piece) == read(data, Look.HASHES)


@pytest.mark.parametrize("block_bytes", [3, 10, 5000])
def test_blocks_of_another_size_hold_the_same_rows(block_bytes):
    """So newer programs of PostgreSQL write."""
    tables = {**TABLE_ROWS, "long": [b"y" * 300]}
    data = archive(tables, version="19.1", block_bytes=block_bytes)
    for piece in (5, 1 << 20):
        assert read(data, piece=piece).tables == read(archive(tables)).tables
        assert read(data, Look.HASHES, piece) == read(data, Look.HASHES)


def test_a_row_longer_than_what_is_kept_is_hashed_in_pieces(monkeypatch):
    data = archive()
    whole = read(data)
    monkeypatch.setattr("dteg.backups.archive._LONG_BYTES", 100_000)
    assert read(data, piece=50_000) == whole


def test_the_order_of_rows_matters_to_hashes_and_not_to_sums():
    rows = [b"row %d" % index for index in range(500)]
    shuffled = random.Random(1).sample(rows, len(rows))
    (one,), (other,) = (read(archive({"t": each})).tables for each in (rows, shuffled))
    assert one == other
    (one,), (other,) = (read(archive({"t": each}), Look.HASHES).tables for each in (rows, shuffled))
    assert one != other


@pytest.mark.parametrize("look", [Look.ROWS, Look.HASHES])
def test_any_change_of_a_row_is_seen(look):
    """Seen red for `Look.ROWS`: with one sum of lengths only."""
    rows = [b"a\t1", b"b\t2", b"c\t3"]
    before = read(archive({"t": rows}), look)
    for changed in ([b"a\t2", b"b\t1", b"c\t3"], rows[:2], [*rows, b"c\t3"], [b"a\t1", b"b\t2", b"c\t4"]):
        assert read(archive({"t": changed}), look).tables != before.tables


def test_large_objects_and_definitions_are_taken_in():
    contents = read(archive())
    assert contents.large_objects.count == 2
    assert contents.large_objects != read(archive(objects=(b"onf", b""))).large_objects
    (sequence,) = [each for each in contents.objects if each.kind == "SEQUENCE SET"]
    assert (sequence.schema_name, sequence.name, sequence.owner) == ("shop", "s", "postgres")


@pytest.mark.parametrize("look", list(Look))
def test_a_stream_that_was_cut_anywhere_is_refused(look):
    data = archive({"t": [b"a", b"b"]})
    for at in range(0, len(data), 3):
        with pytest.raises(DamagedBackupError):
            read(data[:at], look)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"PGDMP\x01\x63\x00\x04\x08\x01" + bytes(500)])
def test_what_is_no_archive_is_refused(data):
    with pytest.raises(DamagedBackupError):
        read(data)


def test_the_places_of_tables_lead_to_their_data():
    data = archive()
    reader = ArchiveReader(Look.PLACES)
    for at in range(0, len(data), 1000):
        reader.feed(data[at : at + 1000])
    reader.finish()
    found = {}
    for place, known in reader.places():
        assert data[place : place + 9] == b"\x01" + bytes(8)
        assert known[0] == 2
        at = int.from_bytes(known[1:], "little")
        assert data[at] in (1, 3)
        found[int.from_bytes(data[at + 2 : at + 6], "little")] = at
    assert sorted(found) == [1, 2, 3, 90]


def test_a_negative_length_is_refused():
    """Where lengths are looked at; the other ways pass the bytes on to a hash that then differs."""
    good = archive({"t": [b"a"]})
    bad = good.replace(number(2) + b"a\n", number(-2) + b"a\n")
    assert bad != good
    with pytest.raises(DamagedBackupError):
        read(bad, Look.ROWS)

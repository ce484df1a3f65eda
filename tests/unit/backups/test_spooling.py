"""The file that pg_restore reads: whole before it is handed out, gone when it was not."""

import os
import shutil
import threading
import time

import pytest

from dteg.backups import spooling
from dteg.backups.errors import DamagedBackupError
from dteg.backups.spooling import Spool, spooled
from tests.unit.backups.test_archive import TABLE_ROWS, archive

ROOM = 1000


def in_pieces(data, size=1000):
    yield from (data[at : at + size] for at in range(0, len(data), size))


def test_the_file_is_the_dump_with_the_places_of_its_tables(tmp_path):
    data = archive()
    with spooled(in_pieces(data), tmp_path, ROOM, 2) as spool:
        descriptor = spool.descriptor()
        assert spool.jobs == 2
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
        stored = os.pread(descriptor, len(data) + 1, 0)
    assert len(stored) == len(data)
    changed = [at for at in range(len(data)) if data[at] != stored[at]]
    places = {at: int.from_bytes(stored[at + 1 : at + 9], "little") for at in changed if stored[at] == 2}
    blocks = [(stored[at], stored[at + 2]) for at in places.values()]
    assert blocks == [*((1, number + 1) for number in range(len(TABLE_ROWS))), (3, 90)]


def test_it_is_filled_before_anybody_waits_for_it(tmp_path):
    asked = threading.Event()

    def pieces():
        asked.set()
        yield archive()

    with spooled(pieces(), tmp_path, ROOM, 2):
        assert asked.wait(60)


def test_what_reading_raises_comes_out_where_the_file_is_asked_for(tmp_path):
    def damaged():
        yield archive()[:500]
        raise DamagedBackupError("frame 3 is damaged")

    with spooled(damaged(), tmp_path, ROOM, 2) as spool, pytest.raises(DamagedBackupError, match="frame 3"):
        spool.descriptor()
    data = archive()
    with (
        spooled(in_pieces(data[:-50]), tmp_path, ROOM, 2) as spool,
        pytest.raises(DamagedBackupError, match="early"),
    ):
        spool.descriptor()


def test_who_leaves_early_leaves_no_thread_and_no_open_source(tmp_path):
    closed = threading.Event()

    def pieces():
        try:
            yield archive({"t": [b"x" * 1000]})[:200]
            while True:
                time.sleep(0.001)
                yield b""
        finally:
            closed.set()

    with pytest.raises(ValueError, match="something else"), spooled(pieces(), tmp_path, ROOM, 2):
        raise ValueError("something else failed")
    assert closed.is_set()
    assert not [each for each in threading.enumerate() if each.name == "spool"]
    assert not list(tmp_path.iterdir())


def test_a_source_that_hangs_does_not_keep_anybody(tmp_path, monkeypatch):
    monkeypatch.setattr(spooling, "_JOIN_S", 0.05)
    go_on = threading.Event()

    def pieces():
        go_on.wait(100)
        yield archive()

    began = time.monotonic()
    with spooled(pieces(), tmp_path, ROOM, 2):
        pass
    assert time.monotonic() - began < 50
    go_on.set()


def test_one_job_or_no_room_needs_no_file(tmp_path):
    def pieces():
        raise AssertionError("was asked for")
        yield b""

    room = shutil.disk_usage(tmp_path).free
    for expected, jobs in ((ROOM, 1), (room, 2)):
        with spooled(pieces(), tmp_path, expected, jobs) as spool:
            assert spool is None


def test_the_room_is_given_back_when_it_is_closed(tmp_path):
    with (tmp_path / "file").open("w+b") as file:
        spool = Spool(in_pieces(archive()), file, 2)
        spool.descriptor()
        spool.close()
        assert file.closed

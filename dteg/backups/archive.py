"""Reads the stream of `pg_dump --format=custom --compress=0` while it passes: what is in it, and whether it is whole.

So the checksums of a backup are those of what is really in it, and cost no second pass over the tables. The form is
that of PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c and pg_backup_custom.c, archive versions 1.12 to 1.16.

A table's checksum is the SHA-256 of its data as they pass: a twentieth of the time of the dump, where a hash of each row
would double it. It depends on the order of the rows. pg_restore keeps that order: it fills new tables by one COPY each.
Where it does not fit all the same, both sides are looked at again with `Look.ROWS`, which no order changes.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from dteg.backups.contents import UNKNOWN_ROWS, Contents, LargeObjects, ObjectContents, TableContents
from dteg.backups.errors import DamagedBackupError
from dteg.backups.rows import LongRow, RowSums

_DATA, _LARGE_OBJECTS = 1, 3
_PLACE_KNOWN = 2
_CUSTOM = 1
_OLDEST, _NEWEST = (1, 12), (1, 16)
_LAST_WITH_ROW_BLOCKS = 18
# Up to that version pg_dump puts each row into a block of its own: sign, length, row. Rows hold no NUL and, as COPY
# writes them, no newline, so blocks are found by a pattern, ten times faster than by their lengths.
_ROW = re.compile(rb"\x00(?s:.{4})([^\n]*)\n")
_END = b"\x00\x05\x00\x00\x00\\.\n\n\n"
_END_MARK = b"\\."
_LONG_BYTES = 4 << 20
# Of the database itself, which has another name after a restore, or of the session that restores.
_APART = frozenset(
    {"DATABASE", "DATABASE PROPERTIES", "ENCODING", "STDSTRINGS", "SEARCHPATH", "STATISTICS DATA"}
)
_ON_DATABASE = frozenset({"ACL", "COMMENT", "SECURITY LABEL"})


class Look(Enum):
    """How closely a stream is read, from the fastest to the slowest."""

    PLACES = "places"
    """Where the data of each table begin."""
    HASHES = "hashes"
    """One hash of the data of each table, rows in their order."""
    ROWS = "rows"
    """Rows counted and hashed one by one, whatever their order."""


class _MoreError(Exception):
    """The rest has not come yet."""


@dataclass(slots=True)
class _Entry:
    number: int
    has_data: bool
    kind: str
    schema: str
    name: str
    place_at: int


class _Cursor:
    """Reads the numbers and texts of an archive."""

    def __init__(self, data: bytes, position: int, int_size: int = 4, offset_size: int = 8) -> None:
        self.data, self.at = data, position
        self.int_size, self.offset_size = int_size, offset_size

    def bytes(self, size: int) -> bytes:
        if size < 0:
            raise DamagedBackupError("the dump says a negative length")
        if self.at + size > len(self.data):
            raise _MoreError
        self.at += size
        return self.data[self.at - size : self.at]

    def byte(self) -> int:
        return self.bytes(1)[0]

    def int(self) -> int:
        raw = self.bytes(1 + self.int_size)
        value = int.from_bytes(raw[1:], "little")
        return -value if raw[0] else value

    def text(self) -> str:
        size = self.int()
        return "" if size < 0 else self.bytes(size).decode("utf-8", "replace")


class ArchiveReader:
    """Takes the stream in pieces with `feed`; `finish` tells what was in it.

    Args:
        look: How closely.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._row_blocks = True
        self._hash = hashlib.sha256()
        self._hashes: dict[int, hashlib._Hash] = {}
        self._before = 0
        self._places: dict[int, int] = {}
        self.version = (0, 0)
        self._data, self._at = b"", 0
        self._step = self._head
        self._tried = 0
        self._offset_size = 8
        self._entries: dict[int, _Entry] = {}
        self._objects: list[ObjectContents] = []
        self._tables: dict[int, RowSums] = {}
        self._seen: set[int] = set()
        self._sums = RowSums()
        self._tail, self._ended = b"", False
        self._long, self._long_left = LongRow(), 0
        self._object: hashlib._Hash | None = None
        self._objects_count = self._objects_sum = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the stream.

        Raises:
            DamagedBackupError: This is not an archive of pg_dump that we know.
        """
        self._before += self._at
        self._data = self._data[self._at :] + piece if self._at < len(self._data) else piece
        self._at = 0
        while self._step():
            pass

    def finish(self) -> Contents:
        """Return what was in it.

        Raises:
            DamagedBackupError: The stream ended early, or lacks data that its table of contents names.
        """
        self._tried = 0
        while self._step():
            pass
        missing = [
            entry for entry in self._entries.values() if entry.has_data and entry.number not in self._seen
        ]
        if self._step != self._block or self._at != len(self._data) or missing:
            raise DamagedBackupError("the dump ends too early")
        return Contents(
            tables=tuple(sorted(self._table_contents(), key=lambda table: (table.schema_name, table.name))),
            objects=tuple(
                sorted(self._objects, key=lambda each: (each.kind, each.schema_name, each.name, each.digest))
            ),
            large_objects=LargeObjects(
                count=self._objects_count, checksum=f"{self._objects_sum & ((1 << 64) - 1):016x}"
            ),
        )

    def places(self) -> Iterator[tuple[int, bytes]]:
        """Yield where in the archive to write what, so that its table of contents says where each table's data is.

        pg_dump leaves that out when it writes into a pipe, and then each job of pg_restore reads through all of it.
        """
        for number, at in self._places.items():
            yield (
                self._entries[number].place_at,
                bytes([_PLACE_KNOWN]) + at.to_bytes(self._offset_size, "little"),
            )

    def _table_contents(self) -> Iterator[TableContents]:
        for number, sums in self._tables.items():
            entry = self._entries[number]
            counted = self._look is Look.ROWS
            yield TableContents(
                schema_name=entry.schema,
                name=entry.name,
                rows=sums.rows if counted else UNKNOWN_ROWS,
                checksum=sums.checksum if counted else self._hashes[number].hexdigest()[:32],
            )

    # --- head and table of contents ------------------------------------------------------------

    def _head(self) -> bool:
        # Large tables of contents come in many pieces: trying again only when twice as much is there keeps it linear.
        if len(self._data) < self._tried * 2:
            return False
        cursor = _Cursor(self._data, 0)
        try:
            self._read_head(cursor)
            entries = [self._read_entry(cursor) for _ in range(cursor.int())]
        except _MoreError:
            self._tried = len(self._data)
            self._objects.clear()
            return False
        self._entries = {entry.number: entry for entry in entries}
        self._at, self._step = cursor.at, self._block
        return True

    def _read_head(self, cursor: _Cursor) -> None:
        if cursor.bytes(5) != b"PGDMP":
            raise DamagedBackupError("this is not an archive of pg_dump")
        self.version = (cursor.byte(), cursor.byte())
        cursor.byte()
        cursor.int_size, cursor.offset_size = cursor.byte(), cursor.byte()
        self._offset_size = cursor.offset_size
        format_ = cursor.byte()
        if not _OLDEST <= self.version <= _NEWEST or format_ != _CUSTOM or cursor.int_size != 4:
            raise DamagedBackupError(f"archives of pg_dump of version {self.version} are not known here")
        compression = cursor.byte() if self.version >= (1, 15) else cursor.int()
        if compression:
            raise DamagedBackupError("the archive was compressed by pg_dump")
        for _ in range(7):  # when it was made
            cursor.int()
        cursor.text(), cursor.text()  # database, version of the server
        self._row_blocks = _major(cursor.text()) <= _LAST_WITH_ROW_BLOCKS

    def _read_entry(self, cursor: _Cursor) -> _Entry:
        number, has_data = cursor.int(), bool(cursor.int())
        cursor.text(), cursor.text()  # the row of the catalogue
        name, kind = cursor.text(), cursor.text()
        cursor.int()  # section
        definition, _drop, copy = cursor.text(), cursor.text(), cursor.text()
        schema, tablespace = cursor.text(), cursor.text()
        access = cursor.text() if self.version >= (1, 14) else ""
        if self.version >= (1, 16):
            cursor.int()  # kind of relation
        owner = cursor.text()
        cursor.text()  # had to do with OIDs
        while cursor.text():  # what it depends on
            pass
        place_at = cursor.at
        cursor.bytes(1 + cursor.offset_size)
        self._add_object(kind, schema, name, owner, f"{definition}\0{copy}\0{tablespace}\0{access}")
        return _Entry(number, has_data, kind, schema, name, place_at)

    def _add_object(self, kind: str, schema: str, name: str, owner: str, definition: str) -> None:
        if kind in _APART or (kind in _ON_DATABASE and name.startswith("DATABASE ")):
            return
        digest = hashlib.sha256(definition.encode()).hexdigest()[:32]
        self._objects.append(
            ObjectContents(kind=kind, schema_name=schema, name=name, owner=owner, digest=digest)
        )

    # --- blocks ----------------------------------------------------------------------------------

    def _block(self) -> bool:
        """Begin the data of one entry."""
        cursor = _Cursor(self._data, self._at)
        try:
            kind, number = cursor.byte(), cursor.int()
        except _MoreError:
            return False
        if number not in self._entries or number in self._seen or kind not in (_DATA, _LARGE_OBJECTS):
            raise DamagedBackupError("the dump holds data that its table of contents does not name")
        self._seen.add(number)
        self._places[number] = self._before + self._at
        self._at = cursor.at
        if kind == _LARGE_OBJECTS:
            self._step = self._next_object
        else:
            self._sums = self._tables[number] = RowSums()
            self._hash = self._hashes[number] = hashlib.sha256()
            by_row = self._rows if self._look is Look.ROWS else self._pass_rows
            self._step = by_row if self._row_blocks else self._texts
        return True

    def _pass_rows(self) -> bool:
        """Hash the data of a table without looking at its rows."""
        end = self._data.find(_END, self._at)
        # What may be the beginning of the end mark stays for the next time.
        until = end if end >= 0 else max(self._at, len(self._data) - len(_END))
        self._pass(until)
        if end >= 0:
            self._step = self._texts  # which knows how a table ends
        return end >= 0

    def _pass(self, until: int) -> None:
        if self._look is Look.HASHES:
            self._hash.update(memoryview(self._data)[self._at : until])
        self._at = until

    def _rows(self) -> bool:
        """Count rows that came in blocks of their own; leave it to `_texts` if they did not."""
        end = self._data.find(_END, self._at)
        rows = _ROW.findall(self._data, self._at, end if end >= 0 else len(self._data))
        if end < 0 and rows and rows[-1] == _END_MARK:  # the end of the table, cut by the end of this piece
            rows.pop()
        used = sum(map(len, rows)) + 6 * len(rows)
        if not self._in_step(rows, used, end):
            self._step = self._texts
            return True
        self._sums.add(rows)
        self._at += used
        if end >= 0:
            self._at = end
            self._step = self._texts
            return True
        return self._begin_long_row()

    def _in_step(self, rows: list[bytes], used: int, end: int) -> bool:
        """Whether the pattern found the very blocks that the lengths say."""
        if rows and self._length_at(self._at) != len(rows[0]) + 1:
            return False
        if end >= 0:
            return self._at + used == end
        left = len(self._data) - self._at - used
        return left < 5 or left < 5 + self._length_at(self._at + used)

    def _length_at(self, position: int) -> int:
        return int.from_bytes(self._data[position + 1 : position + 5], "little")

    def _begin_long_row(self) -> bool:
        """A row of hundreds of megabytes is not kept as a whole."""
        left = len(self._data) - self._at
        if left < 5 or (length := self._length_at(self._at)) <= _LONG_BYTES:
            return False
        self._long, self._long_left = LongRow(), length - 1
        self._at += 5
        self._step = self._long_row
        return True

    def _long_row(self) -> bool:
        piece = self._data[self._at : self._at + self._long_left]
        self._long.add(piece)
        self._at += len(piece)
        self._long_left -= len(piece)
        if self._long_left or self._at == len(self._data):
            return False
        self._at += 1  # its newline
        self._long.end(self._sums)
        self._step = self._rows
        return True

    def _texts(self) -> bool:
        """Take rows in blocks of any size; an empty block ends the table."""
        cursor = _Cursor(self._data, self._at)
        try:
            block = cursor.bytes(cursor.int())
        except _MoreError:
            return False
        self._pass(cursor.at)
        if not block:
            self._tail, self._ended, self._step = b"", False, self._block
            return True
        if self._look is not Look.ROWS:
            return True
        *rows, self._tail = (self._tail + block).split(b"\n")
        if self._ended:  # newlines only
            return True
        if _END_MARK in rows:
            rows, self._ended = rows[: rows.index(_END_MARK)], True
        self._sums.add(rows)
        return True

    # --- large objects ---------------------------------------------------------------------------

    def _next_object(self) -> bool:
        cursor = _Cursor(self._data, self._at)
        try:
            number = cursor.int()
        except _MoreError:
            return False
        self._at = cursor.at
        if number == 0:
            self._step = self._block
        else:
            self._object = hashlib.sha256(b"%d:" % number)
            self._step = self._object_piece
        return True

    def _object_piece(self) -> bool:
        cursor = _Cursor(self._data, self._at)
        try:
            piece = cursor.bytes(cursor.int())
        except _MoreError:
            return False
        self._at = cursor.at
        assert self._object is not None
        self._object.update(piece)
        if not piece:
            self._objects_count += 1
            self._objects_sum += int.from_bytes(self._object.digest()[:8], "big")
            self._step = self._next_object
        return True


def _major(version: str) -> int:
    number = re.match(r"\d+", version)
    return int(number[0]) if number else 0

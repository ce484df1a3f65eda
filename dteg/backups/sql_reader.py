"""Reads the stream of `mariadb-dump` while it passes: which rows it holds, and whether it is whole."""

import hashlib
import re

from dteg.backups.contents import Contents, ObjectContents, TableContents
from dteg.backups.errors import DamagedBackupError
from dteg.backups.rows import RowSums

_INSERT = re.compile(rb"INSERT INTO `((?:[^`]|``)+)` VALUES ?")
_CREATE = re.compile(rb"CREATE TABLE `((?:[^`]|``)+)` \(")
_COMPLETED = b"-- Dump completed"


class SqlReader:
    """Takes the stream in pieces with `feed`; `finish` tells what was in it.

    The program escapes newlines, so a line of rows ends where a row ends.
    """

    def __init__(self) -> None:
        """Begin before the first byte."""
        self._rest = b""
        self._tables: dict[str, RowSums] = {}
        self._into: RowSums | None = None
        self._definitions = hashlib.sha256()
        self._last = b""

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the stream."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._line(line)

    def finish(self) -> Contents:
        """Return what was in it.

        Raises:
            DamagedBackupError: The stream ended early.
        """
        if not self._last.startswith(_COMPLETED) or self._rest:
            raise DamagedBackupError("the dump ends too early")
        tables = [
            TableContents(schema_name="", name=name, rows=sums.rows, checksum=sums.checksum)
            for name, sums in sorted(self._tables.items())
        ]
        digest = self._definitions.hexdigest()[:32]
        schema = ObjectContents(kind="SCHEMA", schema_name="", name="all definitions", digest=digest)
        return Contents(tables=tuple(tables), objects=(schema,))

    def _line(self, line: bytes) -> None:
        if self._into is not None:
            self._rows(line)
        elif found := _INSERT.match(line):
            self._into = self._tables[_name(found[1])]
            if rest := line[found.end() :]:
                self._rows(rest)
        elif line.startswith(b"--"):
            self._last = line if line.strip(b"-") else self._last
        elif line:
            if found := _CREATE.match(line):
                self._tables[_name(found[1])] = RowSums()
            self._definitions.update(line + b"\n")

    def _rows(self, line: bytes) -> None:
        assert self._into is not None
        self._into.add([line[:-1]])  # without the comma or semicolon
        if line.endswith(b";"):
            self._into = None


def _name(quoted: bytes) -> str:
    return quoted.replace(b"``", b"`").decode("utf-8", "replace")

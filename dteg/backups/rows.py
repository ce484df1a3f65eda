"""Checksums of tables that do not depend on the order of their rows.

A row is hashed as the text in which the server sends it. Two sums are kept: of the CRC-32 of each row, and of the
CRC-32 of each row sent through a fixed substitution of bytes, which makes the second one independent of the first.
They find differences between a database and its copy; against people stands the signature of the manifest.
Both are computed in C: a checksum by the server (`hashtextextended`) costs as much as the dump itself.
"""

import zlib
from collections.abc import Collection
from itertools import repeat

_MASK = (1 << 64) - 1
# A permutation of the bytes that is far from linear, so that no pattern is kept by both CRCs: sorted by a product
# with a prime modulo another one. Newlines stay what they are.
_ORDER = sorted((value for value in range(256) if value != 10), key=lambda value: (value + 3) ** 5 % 257)
SUBSTITUTION = bytes([*_ORDER[:10], 10, *_ORDER[10:]])


class RowSums:
    """The sums over the rows of one table."""

    __slots__ = ("first", "rows", "second")

    def __init__(self) -> None:
        """Begin with no rows."""
        self.rows = self.first = self.second = 0

    def add(self, rows: Collection[bytes]) -> None:
        """Count some rows, each without its newline."""
        self.rows += len(rows)
        self.first += sum(map(zlib.crc32, rows))
        self.second += sum(map(zlib.crc32, map(bytes.translate, rows, repeat(SUBSTITUTION))))

    def add_hashes(self, first: int, second: int) -> None:
        """Count one row that was hashed in pieces."""
        self.rows += 1
        self.first += first
        self.second += second

    @property
    def checksum(self) -> str:
        """Both sums, hexadecimal."""
        return f"{self.first & _MASK:016x}{self.second & _MASK:016x}"


class LongRow:
    """One row that comes in pieces."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._first = self._second = 0

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._first = zlib.crc32(piece, self._first)
        self._second = zlib.crc32(piece.translate(SUBSTITUTION), self._second)

    def end(self, sums: RowSums) -> None:
        """Count it."""
        sums.add_hashes(self._first, self._second)

"""Rows of a result as blocks of the bytes that the server sent, without an object per value.

Drivers make a Python object of each value. Here PyMySQL logs in and sends the query; the rows are
then taken from its socket in blocks, only the places where rows begin are noted, and `decode.py`
turns each column of a block into Arrow at once. This is the one module that leans on PyMySQL's
inner parts: `_execute_command`, `_read_packet`, `_rfile`, `_result`.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from dteg.core.errors import PermanentError

_HEADER_BYTES = 4  # three of length, one of sequence number
_SPLIT = 0xFFFFFF  # a packet of this length goes on in the next one
_END, _ERROR = 0xFE, 0xFF
_MAX_END_BYTES = 8
_COM_QUERY = 3
_READ_BYTES = 1 << 18
# Arrow's offsets into a block are 32 bits wide.
MAX_BLOCK_BYTES = (1 << 31) - 1


class Field(Protocol):
    """What the server says about a column of a result."""

    name: str
    type_code: int
    flags: int
    length: int
    scale: int
    charsetnr: int


class Block(NamedTuple):
    """Some whole rows.

    Attributes:
        data: Bytes as they came.
        starts: Where the first value of each row begins.
        ends: Where each row ends.
    """

    data: bytearray
    starts: "array[int]"
    ends: "array[int]"


def fields_of(connection: Any, query: str) -> Sequence[Field]:
    """Return what the server says about the columns of a query that returns no rows."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        fields: Sequence[Field] = cursor._result.fields  # noqa: SLF001 - the public description has no flags
        return fields


def read_blocks(connection: Any, query: str, block_bytes: int) -> Iterator[Block]:
    """Run a query and yield its rows in blocks of about `block_bytes`, or of one row that is longer.

    The connection can do nothing else until the last block; close it to stop earlier.

    Raises:
        pymysql.err.MySQLError: The query failed, or the connection was lost.
        OSError: The connection was lost.
        PermanentError: A row is longer than 2 GiB.
    """
    from pymysql.connections import MySQLResult
    from pymysql.protocol import MysqlPacket

    connection._execute_command(_COM_QUERY, query)  # noqa: SLF001
    result = MySQLResult(connection)
    result.init_unbuffered_query()
    # From here on the rows are ours, and PyMySQL must not look for them when it closes the result.
    result.unbuffered_active = False
    rows = _Rows(block_bytes)
    read = connection._rfile.read1  # noqa: SLF001
    while not rows.ended:
        chunk = read(min(_READ_BYTES, block_bytes))
        if not chunk:
            raise ConnectionResetError("the server closed the connection in the middle of the rows")
        block = rows.take(chunk)
        if block is not None:
            yield block
    if rows.error:
        MysqlPacket(rows.error, connection.encoding).raise_for_error()


class _Rows:
    """Finds where rows begin and end in what was read so far."""

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._data = bytearray()
        self._at = 0  # up to here rows are known
        self._starts, self._ends = array("i"), array("i")
        self.ended = False
        self.error = b""

    def take(self, chunk: bytes) -> Block | None:
        """Add what was read; return a block once there is enough for one, or at the end of the rows."""
        self._data += chunk
        self._scan()
        if not (self.ended or self._at >= self._block_bytes) or not self._starts:
            return None
        block = Block(self._data, self._starts, self._ends)
        self._data, self._at = self._data[self._at :], 0
        self._starts, self._ends = array("i"), array("i")
        return block

    def _scan(self) -> None:
        data, starts, ends = self._data, self._starts, self._ends
        header = struct.Struct("<I").unpack_from
        at, size = self._at, len(data)
        while at + _HEADER_BYTES < size:
            length = header(data, at)[0] & _SPLIT
            start = at + _HEADER_BYTES
            end = start + length
            first = data[start]
            if first >= _END and (first == _ERROR or length <= _MAX_END_BYTES):
                if end <= size:
                    self._finish(start, end)
                break
            if length == _SPLIT:
                end, size = self._joined(at), len(data)
            if end > size:
                break
            starts.append(start)
            ends.append(end)
            at = end
        self._at = at

    def _finish(self, start: int, end: int) -> None:
        self.ended = True
        if self._data[start] == _ERROR:
            self.error = bytes(self._data[start:end])

    def _joined(self, at: int) -> int:
        """Take the inner headers out of a row that came in several packets, once all are there; return its end."""
        data, headers, length = self._data, [], _SPLIT
        place = at
        while length == _SPLIT:
            if place + _HEADER_BYTES > len(data):
                return MAX_BLOCK_BYTES
            headers.append(place)
            length = int.from_bytes(data[place : place + 3], "little")
            place += _HEADER_BYTES + length
        if place > len(data):
            return MAX_BLOCK_BYTES
        if place > MAX_BLOCK_BYTES:
            raise PermanentError("a row is longer than 2 GiB", component="mysql")
        for header in reversed(headers[1:]):
            del data[header : header + _HEADER_BYTES]
        return place - _HEADER_BYTES * (len(headers) - 1)

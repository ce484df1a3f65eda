"""Bytes of the protocol, without a server."""

import pytest

from dteg.core.errors import PermanentError

from . import decode, wire

pytestmark = pytest.mark.unit


def length_of(value):
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size])
    mark, width = next((m, w) for m, w in ((252, 2), (253, 3), (254, 8)) if size < 1 << (8 * w))
    return bytes([mark]) + size.to_bytes(width, "little")


def packet(payload):
    return len(payload).to_bytes(3, "little") + b"\x07" + payload


def stream_of(rows, end=b"\xfe\x00\x00\x02\x00"):
    payloads = [b"".join(length_of(value) + (value or b"") for value in row) for row in rows]
    return b"".join(map(packet, [*payloads, end]))


def blocks_of(data, chunk, block_bytes, whole=()):
    """Take data in chunks; a part that is `whole`, as (start, end), comes at once."""
    rows, blocks = wire._Rows(block_bytes), []
    ends = dict(whole)
    at = 0
    while at < len(data):
        end = ends.get(at, at + chunk)
        block = rows.take(data[at:end])
        blocks += [block] if block else []
        at = end
    return rows, blocks


EDGE = (
    210  # a multiple of all small chunks, so that after a long value they begin where they would have begun
)


def inner_parts(rows, chunk):
    """Return where long values go on and on: a cut there is like the one before; near the ends every byte is one."""
    found, at = [], 0
    for row in rows:
        at += 4
        for value in row:
            at += len(length_of(value))
            start, at = at, at + len(value or b"")
            start, end = (start // EDGE + 2) * EDGE, (at // EDGE - 1) * EDGE
            if EDGE % chunk == 0 and end > start:
                found.append((start, end))
    return found


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 64, 1000, 1 << 20])
def test_rows_are_found_wherever_the_bytes_are_cut(chunk):
    sizes = (0, 1, 250, 251, 255, 256, 4000, 65_535, 65_536)
    rows = [(b"\xfe" * size, None, b"", b"\xff", bytes([size % 256]) * (size // 2)) for size in sizes]
    data = stream_of(rows)
    for block_bytes in (1, 300, 1 << 20):
        state, blocks = blocks_of(data, chunk, block_bytes, inner_parts(rows, chunk))
        columns = [list(decode.columns_of(block, 5)) for block in blocks]
        found = [
            tuple(column[n].as_py() for column in block) for block in columns for n in range(len(block[0]))
        ]
        assert found == rows
        assert (state.ended, state.error) == (True, b"")


def test_an_error_after_rows_keeps_the_rows_before_it():
    error = b"\xff\x25\x05#70100Query execution was interrupted"
    state, blocks = blocks_of(stream_of([(b"a",), (b"b",)], error), 4, 1 << 20)
    assert [len(block.starts) for block in blocks] == [2]
    assert state.error == error


@pytest.mark.parametrize(
    "payload",
    [b"\x05ab", b"\x02abc", b"\xfc\xff", b"\xfd\xff\xff\x7f", b"\xfe\xff\xff\xff\xff\x00\x00\x00\x00", b"\xfa", b"\x00\x00", b""],
)  # fmt: skip
def test_lengths_that_do_not_add_up_are_refused(payload):
    _, blocks = blocks_of(packet(b"\x03abc") + packet(payload) + packet(b"\xfe\x00\x00\x02\x00"), 1 << 20, 1)
    with pytest.raises(PermanentError, match="do not add up"):
        [list(decode.columns_of(block, 1)) for block in blocks]

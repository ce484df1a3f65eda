"""Blocks of rows as MySQL sends them, turned into Arrow column by column.

A row is its values one after the other, each behind its length: one byte up to 250, 251 for NULL,
252 to 254 before a length of two, three or eight bytes. For one column of all rows of a block the
lengths are gathered at once, and the values then lie in the block like those of an Arrow array with
gaps between them. So a block costs a few calls of Arrow per column, whatever the number of rows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dteg.core.errors import PermanentError

from .wire import Block

_NULL, _TWO, _THREE, _EIGHT = 251, 252, 253, 254


class Cells(NamedTuple):
    """Where the values of one column lie in a block; `nulls` is None if there are none."""

    starts: pa.Array
    ends: pa.Array
    nulls: pa.Array | None


def columns_of(block: Block, count: int) -> Iterator[pa.Array]:
    """Yield the columns of a block as binary arrays.

    Args:
        block: Whole rows.
        count: Number of columns.

    Raises:
        PermanentError: The lengths do not add up; the stream of bytes is broken.
    """
    data = pa.py_buffer(block.data)
    rows = len(block.starts)
    cells = _locate(data, block, count)
    order = _interleaving(rows)
    values = pc.multiply(pa.arange(0, rows), 2).cast(pa.int32())
    for each in cells:
        # value, gap, value, gap, ...: an array over the block itself, of which every other element is taken.
        bounds = pa.concat_arrays([each.starts, each.ends]).take(order)
        whole = pa.Array.from_buffers(pa.binary(), 2 * rows - 1, [None, bounds.buffers()[1], data])
        wanted = values if each.nulls is None else pc.if_else(each.nulls, pa.scalar(None, pa.int32()), values)
        yield whole.take(wanted)


def _interleaving(rows: int) -> pa.Array:
    """Return 0, rows, 1, rows + 1, ..."""
    order = pa.array(range(2 * rows), pa.int32())
    halves = pc.shift_right(order, pa.scalar(1, pa.int32()))
    odd = pc.bit_wise_and(order, pa.scalar(1, pa.int32()))
    return pc.add(halves, pc.multiply(odd, pa.scalar(rows, pa.int32())))


def _locate(data: pa.Buffer, block: Block, count: int) -> list[Cells]:
    raw = pa.Array.from_buffers(pa.uint8(), data.size, [None, data])
    at, ends = (
        pa.Array.from_buffers(pa.int32(), len(places), [None, pa.py_buffer(places)])
        for places in (block.starts, block.ends)
    )
    cells = []
    try:
        for _ in range(count):
            cells.append(_cells(raw, at))
            at = cells[-1].ends
    except (pa.ArrowIndexError, pa.ArrowInvalid):
        raise _broken() from None
    # Each value begins where the one before it ends, so this bounds them all.
    if not at.equals(ends):
        raise _broken()
    return cells


def _cells(raw: pa.Array, at: pa.Array) -> Cells:
    first = raw.take(at)
    after = pc.add(at, pa.scalar(1, pa.int32()))
    if pc.max(first).as_py() < _NULL:
        return Cells(after, pc.add(after, first.cast(pa.int32())), None)
    nulls = pc.equal(first, pa.scalar(_NULL, pa.uint8()))
    length = pc.if_else(nulls, pa.scalar(0, pa.uint8()), first).cast(pa.int64())
    after = after.cast(pa.int64())
    for mark, width in ((_TWO, 2), (_THREE, 3), (_EIGHT, 8)):
        rows = pc.indices_nonzero(pc.equal(first, pa.scalar(mark, pa.uint8())))
        if len(rows):
            long = _number(raw, after.take(rows), width)
            mask = pc.equal(first, pa.scalar(mark, pa.uint8()))
            length = pc.replace_with_mask(length, mask, long)
            after = pc.if_else(mask, pc.add(after, pa.scalar(width, pa.int64())), after)
    # A length that does not fit 32 bits is a broken stream, and the cast refuses it.
    return Cells(after.cast(pa.int32()), pc.add(after, length).cast(pa.int32()), nulls)


def _number(raw: pa.Array, at: pa.Array, width: int) -> pa.Array:
    """Return little-endian numbers of up to four bytes; the higher bytes of eight are always zero here."""
    total = raw.take(at).cast(pa.int64())
    for place in range(1, min(width, 4)):
        digit = raw.take(pc.add(at, pa.scalar(place, pa.int64()))).cast(pa.int64())
        total = pc.add(total, pc.shift_left(digit, pa.scalar(8 * place, pa.int64())))
    return total


def _broken() -> PermanentError:
    return PermanentError("the server's rows cannot be read: lengths do not add up", component="mysql")

"""Rows by `COPY ... TO STDOUT` as CSV, parsed by Arrow in blocks; memory does not grow with rows."""

import io
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv

from dteg.connectors import Batch, Stream
from dteg.core.errors import DtegError, PermanentError

from .copy_out import CopyOut

COMPONENT = "postgres"


class _BlockFile(io.RawIOBase):
    """Blocks of bytes as a file to read from; keeps what went wrong for the thread that asked."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = next(blocks, b"")
        self.is_empty = not self._rest
        self.error: DtegError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return about `size` bytes, and nothing at the end."""
        parts, length = [self._rest], len(self._rest)
        try:
            while length < size and (block := next(self._blocks, None)) is not None:
                parts.append(block)
                length += len(block)
        except DtegError as error:
            self.error = error
            raise OSError("the source failed") from error
        whole = b"".join(parts)
        self._rest = whole[size:]
        return whole[:size]


def read_batches(copy: CopyOut, stream: Stream, block_size: int) -> Iterator[Batch]:
    """Yield the rows of a COPY as CSV.

    Raises:
        TransientError: The connection was lost.
        PermanentError: The query failed, or a value has no Arrow form, such as an infinite timestamp.
    """
    with copy:
        source = _BlockFile(copy.blocks())
        if source.is_empty:
            return
        try:
            for batch in _parse(source, stream, block_size):
                yield _decode(batch, stream.schema)
        except (pa.ArrowInvalid, OSError) as error:
            if source.error is not None:
                raise source.error from None
            raise PermanentError(
                f"{stream.name}: {_named(str(error), stream)}; cast the column to text in a query",
                component=COMPONENT,
                stream=stream.name,
            ) from error


def _named(message: str, stream: Stream) -> str:
    """Put a column's name where Arrow says `In CSV column #3: Row #17: `."""
    match = re.match(r"In CSV column #(\d+): (?:Row #\d+: )?(?:CSV )?", message)
    return f"column {stream.schema.names[int(match[1])]}: {message[match.end() :]}" if match else message


def _parse(source: _BlockFile, stream: Stream, block_size: int) -> Iterator[Batch]:
    types = {each.name: pa.string() if _is_decoded_here(each.type) else each.type for each in stream.schema}
    reader = pyarrow.csv.open_csv(
        source,
        # One thread: with more, Arrow would go on reading after this generator is closed.
        read_options=pyarrow.csv.ReadOptions(column_names=stream.schema.names, block_size=block_size, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        ),
    )  # fmt: skip
    yield from reader


def _decode(batch: Batch, schema: pa.Schema) -> Batch:
    """Give the batch the stream's schema, and the columns their values that Arrow's CSV reader cannot."""
    columns = [_value_of(column, each.type) for each, column in zip(schema, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _is_decoded_here(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_decimal256(type_))


def _value_of(column: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_binary(type_):
        return pa.array(
            [None if text is None else bytes.fromhex(text[2:]) for text in column.to_pylist()], pa.binary()
        )
    return column.cast(type_)

"""CSV of COPY made Parquet, one group of rows after the other."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from dteg.core.columns import Columns
from dteg.core.errors import InputError
from dteg.core.types import arrow_schema

BLOCK_BYTES = 4 << 20
GROUP_ROWS = 131_072
# A group of rows waits in memory until it is written.
GROUP_BYTES = 32 << 20


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a file to read from; keeps the error of who makes them."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = next(blocks, b"")
        self.is_empty = not self._rest
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        parts, length = [self._rest], len(self._rest)
        try:
            while (size < 0 or length < size) and (block := next(self._blocks, None)) is not None:
                parts.append(block)
                length += len(block)
        except Exception as error:
            self.error = error
            raise OSError("the rows cannot be read") from error
        whole = b"".join(parts)
        end = len(whole) if size < 0 else size
        self._rest = whole[end:]
        return whole[:end]


class _Sink(io.RawIOBase):
    """Takes what a writer writes, and gives it away."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """Return what was written since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def parquet_of(
    blocks: Iterator[bytes], types: Mapping[str, str], names: Sequence[str], table: str
) -> Iterator[bytes]:
    """Yield a Parquet file (zstd) in parts.

    Args:
        blocks: CSV without a header, where NULL is the empty unquoted field.
        types: SQL type by column.
        names: The columns, in order.
        table: Where the rows are from, for messages.

    Raises:
        InputError: A value has no form in Parquet, such as an infinite date.
    """
    schema = arrow_schema(Columns({name: types[name] for name in names}))
    sink = _Sink()
    file = pa.PythonFile(sink, mode="w")
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(_batches(blocks, schema, table)):
            writer.write_table(pa.Table.from_batches(group, schema), row_group_size=GROUP_ROWS)
            if data := sink.taken():
                yield data
    file.flush()
    yield sink.taken()


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield waiting
            waiting, rows, size = [], 0, 0
    if waiting:
        yield waiting


def _batches(blocks: Iterator[bytes], schema: pa.Schema, table: str) -> Iterator[pa.RecordBatch]:
    source = _Blocks(blocks)
    if source.is_empty:
        return
    types = {each.name: pa.string() if _is_decoded_here(each.type) else each.type for each in schema}
    try:
        reader = pyarrow.csv.open_csv(
            source,
            # One thread: with more, Arrow would go on reading after this generator is closed.
            read_options=pyarrow.csv.ReadOptions(column_names=schema.names, block_size=BLOCK_BYTES, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
                true_values=["t"], false_values=["f"],
            ),
        )  # fmt: skip
        for batch in reader:
            columns = [
                _decoded(column, each.type) for each, column in zip(schema, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
    except (pa.ArrowInvalid, OSError) as error:
        if source.error is not None:
            raise source.error from None
        raise InputError(
            f"{table}: {_named(str(error), schema.names)}; Parquet cannot hold it: choose other columns, or csv"
        ) from None


def _named(message: str, names: Sequence[str]) -> str:
    """Put a column's name where Arrow says `In CSV column #3: Row #17: `."""
    match = re.match(r"In CSV column #(\d+): (?:Row #\d+: )?(?:CSV )?", message)
    return f"column {names[int(match[1])]}: {message[match.end() :]}" if match else message


def _is_decoded_here(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_decimal256(type_))


def _decoded(column: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_binary(type_):
        texts = column.to_pylist()
        return pa.array([None if text is None else bytes.fromhex(text[2:]) for text in texts], pa.binary())
    return column.cast(type_)

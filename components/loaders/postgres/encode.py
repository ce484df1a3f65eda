"""Arrow batches as the CSV that PostgreSQL's COPY reads.

CSV and not the binary format: PostgreSQL parses each text with the target type's own input
function, so every type of the target works, enums and domains included. Texts are always quoted
and NULL is the empty unquoted field, so an empty text and NULL stay apart.
"""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from dteg.core.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

_WRITE_OPTIONS = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed", batch_size=8192)


def encode(batch: Batch) -> memoryview:
    """Return the batch as CSV, UTF-8, without a header."""
    sink = pa.BufferOutputStream()
    columns = [_writable(column) for column in batch.columns]
    pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(columns, names=batch.schema.names), sink, _WRITE_OPTIONS)
    return memoryview(sink.getvalue())


def _writable(column: pa.Array) -> pa.Array:
    """Turn the types that Arrow's CSV writer does not know, or writes otherwise than PostgreSQL reads."""
    type_ = column.type
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return _by_value(column, lambda value: "\\x" + value.hex())
    if pa.types.is_nested(type_):
        import orjson

        return _by_value(column, lambda value: orjson.dumps(value, default=str).decode())
    if pa.types.is_duration(type_):
        return pc.binary_join_element_wise(
            pc.cast(column.cast(pa.duration("us")).cast(pa.int64()), pa.string()), "microseconds", " "
        )
    if pa.types.is_dictionary(type_):
        return _writable(column.dictionary_decode())
    if pa.types.is_decimal256(type_) or pa.types.is_float16(type_):
        return column.cast(pa.string())
    return column


def _by_value(column: pa.Array, render: "Callable[..., str]") -> pa.Array:
    return pa.array([None if value is None else render(value) for value in column.to_pylist()], pa.string())

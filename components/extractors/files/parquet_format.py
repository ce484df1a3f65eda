"""Parquet: types come from the file; nested values become JSON text."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from dteg.core.batch import Batch, field
from dteg.core.errors import InputError

from .conversion import convert_batch
from .formats import BATCH_BYTES, BATCH_ROWS, Format
from .locations import SourceFile
from .opening import open_seekable, reading

# Databases have no unsigned and no very small numbers.
_WIDENED = {
    pa.int8(): pa.int16(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.null(): pa.string(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
}


class ParquetFormat(Format):
    """Reads Parquet files in groups of rows."""

    def schema(self, files: list[SourceFile]) -> pa.Schema:
        """Join the schemas of all files; numbers are widened, anything else must agree."""
        joined = pa.schema([])
        for file in files:
            with self._open(file) as parquet:
                own = pa.schema([_readable(column) for column in parquet.schema_arrow])
            if len(set(own.names)) < len(own.names):
                raise InputError("two columns have the same name", source=file.display)
            try:
                joined = pa.unify_schemas([joined, own], promote_options="permissive")
            except pa.ArrowException as error:
                message = f"its columns do not fit those of the files before it: {error}"
                raise InputError(message, source=file.display) from None
        unknown = [name for name in self.declared if name not in joined.names]
        if unknown:
            raise InputError(f"`columns` names {unknown[0]!r}, which no file has", source=self.config.path)
        return pa.schema([self.declared.get(column.name) or _with_sql_type(column) for column in joined])

    def read(self, file: SourceFile, schema: pa.Schema) -> Iterator[Batch]:
        """Yield the rows; set aside those with a value that is not of its declared type."""
        start = 0
        with self._open(file) as parquet:
            for raw in parquet.iter_batches(batch_size=_batch_rows(parquet.metadata)):
                batch = _without_nesting(raw)

                def on_bad(index: int, reason: str, batch: Batch = batch, start: int = start) -> None:
                    values = batch.slice(index, 1).to_pylist()[0]
                    payload = {
                        name: None if value is None else _plain(value) for name, value in values.items()
                    }
                    self.reject(reason, f"{file.display} (row {start + index + 1})", payload)

                yield convert_batch(batch, schema, on_bad)
                start += batch.num_rows

    @contextmanager
    def _open(self, file: SourceFile) -> Iterator[pq.ParquetFile]:
        with open_seekable(file.path, file.display, self.config.member) as path, reading(file.display):
            try:
                with pq.ParquetFile(path) as parquet:
                    yield parquet
            except (pa.ArrowInvalid, OSError) as error:
                if isinstance(error, OSError) and error.errno:
                    raise
                # Arrow raises OSError for damage too, then without a number.
                message = f"not a Parquet file, damaged or truncated: {' '.join(str(error).split())}"
                raise InputError(message, source=file.display) from None


def _batch_rows(metadata: pq.FileMetaData) -> int:
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    return int(max(1, min(BATCH_ROWS, BATCH_BYTES * metadata.num_rows // max(size, 1))))


def _is_nested(type_: pa.DataType) -> bool:
    return bool(pa.types.is_nested(type_))


def _readable(column: pa.Field) -> pa.Field:
    """Return the field that this format gives for a field of a file."""
    type_ = column.type
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if _is_nested(type_):
        return field(column.name, pa.string(), sql_type="jsonb")
    return pa.field(column.name, _WIDENED.get(type_, type_))


def _with_sql_type(column: pa.Field) -> pa.Field:
    if pa.types.is_decimal(column.type):
        return field(
            column.name, column.type, sql_type=f"numeric({column.type.precision},{column.type.scale})"
        )
    return column


def _without_nesting(batch: Batch) -> Batch:
    columns = [_as_json(column) if _is_nested(column.type) else column for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _as_json(values: pa.Array) -> pa.StringArray:
    texts = [
        None
        if value is None
        else orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
        for value in values.to_pylist(maps_as_pydicts="lossy")
    ]
    return pa.array(texts, pa.string())


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)

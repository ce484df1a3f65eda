"""Writes batches into an open file."""

import gzip
from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any, BinaryIO, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from dteg.core.batch import Batch, Schema, sql_type_of

from .config import FilesLoaderConfig

# A row group waits in memory until it is written, so wide rows make it shorter.
ROW_GROUP_BYTES = 32 << 20
_FORMULA = r"^[=+\-@\t\r]"


class Writer(ABC):
    """Writes one file."""

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Write the rows of a batch."""

    @abstractmethod
    def finish(self) -> None:
        """Write what ends the file; the file itself stays open."""


def open_writer(file: BinaryIO, schema: Schema, config: FilesLoaderConfig) -> Writer:
    """Return the writer for the config's format."""
    if config.file_format == "parquet":
        return ParquetWriter(file, schema, config)
    # Neither name nor time of the partial file: equal rows give equal bytes.
    packed = gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) if config.is_packed else None
    if config.file_format == "csv":
        return CsvWriter(file, packed, schema, formula_guard=config.formula_guard)
    return JsonlWriter(file, packed, schema)


class CsvWriter(Writer):
    """Every text is quoted and null is not, so that null and an empty text stay apart."""

    def __init__(
        self, file: BinaryIO, packed: gzip.GzipFile | None, schema: Schema, *, formula_guard: bool
    ) -> None:
        self._packed = packed
        self._formula_guard = formula_guard
        self._schema = pa.schema([pa.field(column.name, _csv_type(column.type)) for column in schema])
        self._sink = pa.PythonFile(packed or file, mode="w")
        self._writer = pacsv.CSVWriter(self._sink, self._schema)

    def write(self, batch: Batch) -> None:
        """Write the rows of a batch."""
        columns = [
            self._guarded(_csv_column(values), column)
            for values, column in zip(batch.columns, batch.schema, strict=True)
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def _guarded(self, values: pa.Array, column: pa.Field) -> pa.Array:
        # Exact numbers are text in Arrow; a minus in front of them is no formula.
        if not (self._formula_guard and pa.types.is_string(column.type)) or sql_type_of(column) == "numeric":
            return values
        guarded = pc.binary_join_element_wise("'", values, "")
        return pc.if_else(pc.match_substring_regex(values, _FORMULA), guarded, values)

    def finish(self) -> None:
        """Write what is buffered."""
        self._writer.close()
        self._sink.flush()
        if self._packed:
            self._packed.close()


class JsonlWriter(Writer):
    """One object per line; JSON columns are nested, exact decimals are texts."""

    def __init__(self, file: BinaryIO, packed: gzip.GzipFile | None, schema: Schema) -> None:
        self._packed = packed
        self._file = cast("BinaryIO", packed or file)
        self._names = schema.names
        self._json_columns = {column.name for column in schema if sql_type_of(column) in ("json", "jsonb")}

    def write(self, batch: Batch) -> None:
        """Write the rows of a batch."""
        columns = []
        for name, values in zip(self._names, batch.columns, strict=True):
            column = _json_column(values)
            if name in self._json_columns:
                column = [None if text is None else orjson.Fragment(text) for text in column]
            columns.append(column)
        rows = (dict(zip(self._names, row, strict=True)) for row in zip(*columns, strict=True))
        self._file.write(
            b"".join(orjson.dumps(row, default=_plain, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        )

    def finish(self) -> None:
        """Write what is buffered."""
        if self._packed:
            self._packed.close()


class ParquetWriter(Writer):
    """Gathers batches into row groups of the wanted size."""

    def __init__(self, file: BinaryIO, schema: Schema, config: FilesLoaderConfig) -> None:
        self._row_group_rows = config.row_group_rows
        self._writer = pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression=config.compression)
        self._schema = schema
        self._waiting: list[Batch] = []
        self._rows = self._bytes = 0

    def write(self, batch: Batch) -> None:
        """Write full row groups, and keep the rest."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= self._row_group_rows or self._bytes >= ROW_GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(table, row_group_size=self._row_group_rows)
            self._waiting = []
            self._rows = self._bytes = 0

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._write_group()
        self._writer.close()


def _csv_type(type_: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(type_) or _is_binary(type_) else type_


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_)
    )


def _csv_column(values: pa.Array) -> pa.Array:
    """Write nested values as JSON and bytes as hexadecimal digits: CSV has neither."""
    if pa.types.is_nested(values.type):
        texts = [
            None if value is None else orjson.dumps(value, default=_plain).decode()
            for value in values.to_pylist()
        ]
        return pa.array(texts, pa.string())
    if _is_binary(values.type):
        return pa.array([None if value is None else value.hex() for value in values.to_pylist()], pa.string())
    return values


def _json_column(values: pa.Array) -> list[Any]:
    """Return Python values; times become ISO texts in Arrow, which is several times faster than in Python."""
    types, type_ = pa.types, values.type
    if types.is_timestamp(type_):
        if type_.tz:
            values = values.cast(pa.timestamp(type_.unit, "UTC"))
        values = pc.replace_substring(values.cast(pa.string()), " ", "T")
    elif types.is_date(type_) or types.is_time(type_):
        values = values.cast(pa.string())
    return cast("list[Any]", values.to_pylist())


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)

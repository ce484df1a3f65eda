"""JSON lines and JSON arrays, read record by record; nested values stay JSON text."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from types import NoneType
from typing import Any

import ijson
import orjson
import pyarrow as pa

from dteg.core.batch import Batch, sql_type_of
from dteg.core.errors import InputError

from .conversion import convert_batch
from .formats import BATCH_BYTES, InferredFormat
from .inference import Inference, Kind, join, kind_of_integers
from .locations import SourceFile
from .opening import open_bytes
from .text_stream import CHUNK_BYTES, TextStream

# A parsed record takes far more memory than its column values.
GROUP_RECORDS = 16_384
_TOO_DEEP = "a value is nested deeper than Python can follow (some hundred levels)"
# orjson reads whole numbers beyond 64 bits as doubles.
_LONG_INTEGER = re.compile(rb"[0-9]{19}")


@dataclass(frozen=True, slots=True)
class Record:
    """One value of the file.

    Attributes:
        place: 1-based number of the record, or of its line.
        value: As parsed.
    """

    place: int
    value: Any


class JsonFormat(InferredFormat):
    """Reads records out of JSON."""

    def observe(self, file: SourceFile, inference: Inference) -> None:
        """Look at the keys and values of all records."""
        for name in self.declared:
            inference.add_column(name)
        seen = 0
        for group in self._groups(file):
            records = [record.value for record in group if isinstance(record.value, dict)]
            for name in dict.fromkeys(name for record in records for name in record):
                if inference.is_open(name):
                    inference.add(name, kind_of_values([record.get(name) for record in records]))
                inference.add_column(name)
            seen += len(group)
            if 0 < self.config.infer_rows <= seen:
                return

    def read(self, file: SourceFile, schema: pa.Schema) -> Iterator[Batch]:
        """Yield the records; set aside what is no object or has a wrong value."""
        for group in self._groups(file):
            records = []
            for record in group:
                if isinstance(record.value, dict):
                    records.append(record)
                else:
                    reason, payload = self.refusal(record.value)
                    self.reject(reason, self._position(file, record), payload)

            def on_bad(index: int, reason: str, records: list[Record] = records) -> None:
                self.reject(reason, self._position(file, records[index]), records[index].value)

            values = [record.value for record in records]
            try:
                columns = [_column([value.get(target.name) for value in values], target) for target in schema]
            except RecursionError:
                raise InputError(_TOO_DEEP, source=file.display) from None
            yield convert_batch(pa.RecordBatch.from_arrays(columns, names=schema.names), schema, on_bad)

    def refusal(self, value: Any) -> tuple[str, dict[str, Any]]:
        """Say why a value is no record, and what is kept of it."""
        return f"expected an object, found {_kind_name(value)}", {"value": value}

    def _position(self, file: SourceFile, record: Record) -> str:
        unit = "line" if self.config.file_format == "jsonl" else "row"
        return f"{file.display} ({unit} {record.place})"

    def _groups(self, file: SourceFile) -> Iterator[list[Record]]:
        """Yield records in groups that fit into memory."""
        config = self.config
        with open_bytes(file.path, file.display, config.member) as raw:
            stream = TextStream(raw, file.display, config.encoding, config.max_line_bytes)
            start = stream.read(CHUNK_BYTES)
            if not start:
                raise InputError("empty file", source=file.display)
            stream.unread(start)
            group: list[Record] = []
            group_start = 0
            for record in self.records(stream, file):
                group.append(record)
                if len(group) >= GROUP_RECORDS or stream.bytes_read - group_start >= BATCH_BYTES:
                    yield group
                    group, group_start = [], stream.bytes_read
            if group:
                yield group

    def records(self, stream: TextStream, file: SourceFile) -> Iterator[Record]:
        """Yield what the file holds, in order."""
        if self.config.file_format == "jsonl":
            return _line_records(stream, file.display)
        path = self.config.records_path
        absent = f"has no array at {path!r}; check records_path"
        return self.array_records(stream, file, path, absent=absent)

    def array_records(
        self, stream: TextStream, file: SourceFile, path: str, *, absent: str
    ) -> Iterator[Record]:
        """Yield the values of the array at `path`; `absent` is said when there is none."""
        source = file.display
        start = stream.read(CHUNK_BYTES)
        if not path and not start.lstrip().startswith(b"["):
            message = "expected an array of records; set records_path to its place, or format: jsonl"
            raise InputError(message, source=source, line=1)
        stream.unread(start)
        number = 0
        try:
            for number, value in enumerate(ijson.items(stream, f"{path}.item" if path else "item"), start=1):
                yield Record(number, _plain(value))
        except ijson.JSONError as error:
            message = f"not valid JSON at or before this line: {_one_line(error)}"
            raise InputError(message, source=source, line=stream.lines + 1) from None
        except RecursionError:
            raise InputError(_TOO_DEEP, source=source, line=stream.lines + 1) from None
        if not number and path:
            self._require_array(file, path, absent)

    def _require_array(self, file: SourceFile, path: str, absent: str) -> None:
        with open_bytes(file.path, file.display, self.config.member) as raw:
            stream = TextStream(raw, file.display, self.config.encoding, self.config.max_line_bytes)
            if not any(prefix == path and event == "start_array" for prefix, event, _ in ijson.parse(stream)):
                raise InputError(absent, source=file.display)


def _line_records(stream: TextStream, source: str) -> Iterator[Record]:
    for number, line in _lines(stream):
        if not line or line.isspace():
            continue
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"not valid JSON: {_one_line(error)}", source=source, line=number) from None
        yield Record(number, json.loads(line) if _LONG_INTEGER.search(line) else value)


def _lines(stream: TextStream) -> Iterator[tuple[int, bytes]]:
    rest = b""
    number = 0
    while data := stream.read(CHUNK_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            number += 1
            yield number, line
    yield number + 1, rest


def _plain(value: Any) -> Any:
    """Return what ijson built with plain numbers: it reads every fraction as a Decimal."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return float(value) if isinstance(value, Decimal) else value


def kind_of_values(values: list[Any]) -> Kind:
    """Return the kind of values as they stand in JSON."""
    types = set(map(type, values)) - {NoneType}
    if types <= {int, float}:
        integers = [value for value in values if type(value) is int]
        whole = kind_of_integers(min(integers), max(integers)) if integers else Kind.NULL
        return join(whole, Kind.DOUBLE if float in types else Kind.NULL)
    if types == {bool}:
        return Kind.BOOLEAN
    return Kind.JSON if types <= {dict, list} else Kind.TEXT


def _column(values: list[Any], target: pa.Field) -> pa.Array:
    """Return the values in the target's type, or as text when that does not work for all of them."""
    if (
        pa.types.is_integer(target.type)
        or pa.types.is_floating(target.type)
        or pa.types.is_boolean(target.type)
    ):
        try:
            return pa.array(values, target.type)
        except (pa.ArrowException, TypeError, OverflowError):
            pass
    whole = sql_type_of(target) in ("json", "jsonb")
    return pa.array([_text(value, quoted=whole) for value in values], pa.string())


def _text(value: Any, *, quoted: bool) -> str | None:
    """Write a value as JSON; a text stands for itself unless it is `quoted`."""
    if value is None or (isinstance(value, str) and not quoted):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a whole number beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _kind_name(value: Any) -> str:
    names = {list: "an array", str: "a text", bool: "true or false", NoneType: "null"}
    return names.get(type(value), "a number")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).replace("(right here) ------^", "").split())

"""Rows by `COPY ... TO STDOUT` as CSV, parsed by Arrow in blocks; memory does not grow with rows."""

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from dteg.connectors import Batch, Stream
from dteg.core.errors import PermanentError
from dteg.core.postgres import translated

COMPONENT = "postgres"


class _CopyFile(io.RawIOBase):
    """The bytes of a COPY as a file to read from; keeps what went wrong for the thread that asked."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._rows = iter(copy)
        self._rest = b""
        self.error: psycopg.Error | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return about `size` bytes, and nothing at the end."""
        parts, length = [self._rest], len(self._rest)
        try:
            while length < size:
                row = next(self._rows, None)
                if row is None:
                    break
                parts.append(bytes(row))
                length += len(parts[-1])
        except psycopg.Error as error:
            self.error = error
            raise OSError("the source failed") from error
        block = b"".join(parts)
        self._rest = block[size:]
        return block[:size]


def read_batches(
    connection: "psycopg.Connection[Any]",
    query: sql.Composable,
    stream: Stream,
    block_size: int,
    timeout_s: float,
) -> Iterator[Batch]:
    """Yield the rows of a query in one read-only snapshot.

    Raises:
        TransientError: The connection was lost.
        PermanentError: The query failed, or a value has no Arrow form, such as an infinite timestamp.
    """
    copy_out = sql.SQL("COPY ({}) TO STDOUT (FORMAT csv, NULL '')").format(query)
    with contextlib.ExitStack() as stack:
        stack.enter_context(translated(COMPONENT, stream.name))
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        stack.callback(_end, connection)
        connection.execute(
            sql.SQL("SET LOCAL statement_timeout = {}").format(sql.Literal(int(timeout_s * 1000)))
        )
        source = _CopyFile(stack.enter_context(connection.cursor().copy(copy_out)))
        try:
            first = source.read(1)
            if not first:
                return
            source._rest = first + source._rest  # noqa: SLF001 - puts back what was only looked at
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


def _end(connection: "psycopg.Connection[Any]") -> None:
    with contextlib.suppress(psycopg.Error):
        connection.execute("ROLLBACK")


def _parse(source: _CopyFile, stream: Stream, block_size: int) -> Iterator[Batch]:
    types = {each.name: pa.string() if pa.types.is_binary(each.type) else each.type for each in stream.schema}
    reader = pyarrow.csv.open_csv(
        source,
        # One thread: the bytes come from one connection, which must not be read after this generator is closed.
        read_options=pyarrow.csv.ReadOptions(column_names=stream.schema.names, block_size=block_size, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["t"], false_values=["f"],
        ),
    )  # fmt: skip
    yield from reader


def _decode(batch: Batch, schema: pa.Schema) -> Batch:
    """Give the batch the stream's schema, and bytea columns their bytes."""
    columns = [
        pa.array(
            [None if text is None else bytes.fromhex(text[2:]) for text in column.to_pylist()], pa.binary()
        )
        if pa.types.is_binary(each.type)
        else column
        for each, column in zip(schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)

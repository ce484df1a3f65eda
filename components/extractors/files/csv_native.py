"""Delimited files as the bytes that PostgreSQL's COPY reads, checked on the way.

COPY and Arrow agree on every file that is written strictly: quotes around whole values, doubled
inside them. Where a file is not, or a value is not plainly of its column's type, the read ends with
`RowsNeededError` and the rows are read one by one, which also finds the number of a bad row.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from operator import methodcaller
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc

from dteg.connectors.native import NativeFormat, NativeSource, RowsNeededError
from dteg.core.batch import Batch, Schema
from dteg.core.errors import InputError

from .config import FilesConfig
from .conversion import convert
from .locations import SourceFile
from .plain import plain_cast
from .text_stream import CHUNK_BYTES

if TYPE_CHECKING:
    from .csv_format import CsvFormat

_BREAKS = b"\r\n"


def copy_format(config: FilesConfig) -> NativeFormat | None:
    """Return how COPY is told to read the files, or None if it cannot be."""
    if not config.quote or len(config.null_values) != 1:
        return None
    (null,) = config.null_values
    if any(mark in null for mark in (config.field_delimiter, config.quote, "\r", "\n", "\0")):
        return None
    if config.field_delimiter == "\0":
        return None
    options = (("DELIMITER", config.field_delimiter), ("QUOTE", config.quote), ("NULL", null))
    return NativeFormat("postgresql", "csv", options=options)


def can_be_checked(column: pa.Field) -> bool:
    """Whether a database reads a text of this type as we do once the text is checked."""
    types = pa.types
    return bool(types.is_string(column.type) or plain_cast(pa.nulls(0, pa.string()), column.type) is not None)


class CsvSource(NativeSource):
    """The files of one stream, one after the other and without their headers.

    Args:
        format_: Reads the files.
        files: In order.
        schema: Columns of all files.
        wire: What `copy_format` gave.
        proven: Columns whose values all have been looked at.
        on_end: Called with each file that was read to its end.
    """

    def __init__(
        self,
        format_: "CsvFormat",
        files: list[SourceFile],
        schema: Schema,
        *,
        wire: NativeFormat,
        proven: AbstractSet[str],
        on_end: Callable[[SourceFile], None],
    ) -> None:
        """Offer the files; nothing is opened yet."""
        self.schema = schema
        self.formats = (wire,)
        self._format, self._files, self._on_end = format_, files, on_end
        self._unproven = [column for column in schema if column.name not in proven]

    @contextlib.contextmanager
    def read(self, format_: NativeFormat) -> Iterator[Iterator[bytes]]:
        """Read the files; the values that are not proven are looked at by a thread of its own meanwhile."""
        with _Check(self._format, self._files, self._unproven) as check:
            yield self._blocks(check)

    def _blocks(self, check: "_Check") -> Iterator[bytes]:
        for file in self._files:
            try:
                for block in self._file_blocks(file):
                    check.raise_refusal()
                    yield block
            except InputError as error:  # said again, with the rows before it, by the way of batches
                raise RowsNeededError(str(error)) from error
            self._on_end(file)
        check.finish()

    def _file_blocks(self, file: SourceFile) -> Iterator[bytes]:
        config = self._format.config
        with self._format.open(file) as body:
            if body.names != self.schema.names:
                raise RowsNeededError(f"{file.display} has other columns than the files before it")
            strict = StrictCsv(config.field_delimiter.encode(), config.quote.encode())
            # Blank lines at the end are no rows, except in a file of one column.
            drop_blank = len(body.names) > 1
            held = last = b""
            while block := body.stream.read(CHUNK_BYTES):
                if not strict.follows(block):
                    raise RowsNeededError(f"{file.display} is not written strictly")
                last = block[-1:]
                if drop_blank:
                    block = held + block if held else block
                    kept = len(block.rstrip(_BREAKS))
                    block, held = (block[:kept], block[kept:]) if kept < len(block) else (block, b"")
                if block:
                    yield block
            if strict.is_open:
                raise RowsNeededError(f"{file.display} ends inside a quote")
            if drop_blank and last:
                yield held[: 1 + held.startswith(b"\r\n")] or body.line_break
            elif last and last not in _BREAKS:
                yield body.line_break


class StrictCsv:
    """Looks whether bytes are CSV that every program reads alike."""

    def __init__(self, delimiter: bytes, quote: bytes) -> None:
        """Begin in front of a record."""
        self._quote = quote
        borders = (delimiter, b"\r", b"\n")
        self._begins = methodcaller("startswith", borders)
        self._ends = methodcaller("endswith", borders)
        self._tail = self._stretch = b"\n"
        self.is_open = False

    def follows(self, block: bytes) -> bool:
        """Return whether the next bytes are strict too.

        Every stretch outside of quotes must begin and end with a delimiter or a line break, or be
        empty between two quotes that stand for one. And no line may begin with the two characters
        that end the data for COPY.
        """
        if b"\\." in block or self._tail.endswith(b"\\"):
            joined = self._tail + block
            if b"\n\\." in joined or b"\r\\." in joined:
                return False
        self._tail = (self._tail + block[-2:])[-2:]
        stretches = block.split(self._quote)
        # Of a stretch that began in an earlier block only the ends are kept.
        stretches[0] = b"" if self.is_open else _ends(self._stretch + stretches[0])
        outside = list(filter(None, stretches[self.is_open : -1 : 2]))
        if not (all(map(self._begins, outside)) and all(map(self._ends, outside))):
            return False
        self.is_open ^= len(stretches) % 2 == 0
        self._stretch = b"" if self.is_open else _ends(stretches[-1])
        return not self._stretch or bool(self._begins(self._stretch))


def _ends(stretch: bytes) -> bytes:
    return stretch[:1] + stretch[1:][-1:]


class _Check:
    """Reads the files a second time, and only the columns whose values nobody has looked at."""

    def __init__(self, format_: "CsvFormat", files: list[SourceFile], columns: list[pa.Field]) -> None:
        self._format, self._files, self._columns = format_, files, columns
        self._refusal = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="check CSV", daemon=True)

    def __enter__(self) -> Self:
        if self._columns:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        if self._columns:
            self._thread.join()

    def raise_refusal(self) -> None:
        if self._refusal:
            raise RowsNeededError(self._refusal)

    def finish(self) -> None:
        """Wait for the end of the check."""
        if self._columns:
            self._thread.join()
        self.raise_refusal()

    def _run(self) -> None:
        try:
            for file in self._files:
                names = [column.name for column in self._columns]
                for batch in self._format.text_batches(file, self._refuse_row, names):
                    if self._stopped.is_set() or self._refusal:
                        return
                    for column in self._columns:
                        self._look(batch, column, file)
        except Exception as error:  # noqa: BLE001 - whatever it is, the way of batches meets it again and says it
            self._refusal = str(error) or type(error).__name__

    def _refuse_row(self, _: object) -> None:
        self._refusal = "a row has another number of columns"

    def _look(self, batch: Batch, column: pa.Field, file: SourceFile) -> None:
        values = batch.column(column.name)
        if pa.types.is_string(column.type):
            _, bad = convert(values, column)
            refused = bad is not None and pc.any(bad).as_py()
        else:
            refused = plain_cast(values, column.type) is None
        if refused:
            self._refusal = f"a value of column {column.name!r} in {file.display} is not plain"

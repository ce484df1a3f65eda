"""Delimited files as the bytes that PostgreSQL's COPY reads, checked on the way.

COPY and Arrow agree on every file that is written strictly: quotes around whole values, doubled
inside them. Where a file is not, or a value is not plainly of its column's type, the read ends with
`RowsNeededError` and the rows are read one by one, which also finds the number of a bad row.

The file is read once. While COPY takes its blocks, a thread looks at them. Nearly all hold nothing but strict
lines of plain values, which one pattern proves (`csv_lines`); of the others the values are parsed and looked at. When
the types were guessed from the beginning of the files, the thread also goes on with the inference, and the read ends
with `TypesNeededError` as soon as that comes to other types.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.compute as pc

from dteg.connectors.native import NativeFormat, NativeSource, RowsNeededError, TypesNeededError
from dteg.core.batch import Batch, Schema
from dteg.core.errors import InputError

from .config import FilesConfig
from .conversion import convert
from .csv_lines import (
    SHORT_FRACTION,
    SHORT_WHOLE,
    form_of,
    matches,
    plain_pattern,
    records_end,
    strict_pattern,
)
from .inference import Inference, Kind, kind_of_text
from .locations import SourceFile
from .plain import plain_cast
from .text_stream import CHUNK_BYTES

if TYPE_CHECKING:
    from .csv_format import CsvFormat

_BREAKS = b"\r\n"
# Blocks that wait for the thread that looks at them: enough to even out its pace and COPY's.
_BLOCKS_AHEAD = 4
# Texts that leave the kind of a column as it is, where that is less than what its type takes.
_OPEN_FORMS = {Kind.BIGINT: SHORT_WHOLE, Kind.DOUBLE: SHORT_FRACTION}


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
        proven: Columns whose values need no looking at.
        guess: The inference that `schema` was guessed with; None if it is sure.
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
        guess: Inference | None,
        on_end: Callable[[SourceFile], None],
    ) -> None:
        """Offer the files; nothing is opened yet."""
        self.schema: Schema = schema
        self.formats = (wire,)
        self._format, self._files, self._on_end = format_, files, on_end
        self._guess = guess
        self._unproven = [column for column in schema if column.name not in proven]
        marks = format_.config.field_delimiter, format_.config.quote
        forms = [self._form(column, proven) for column in schema]
        self._formless = [name for name, form in zip(schema.names, forms, strict=True) if form is None]
        self._plain = plain_pattern(forms, *marks, format_.config.null_values[0])
        self._strict = strict_pattern(*marks)

    def _form(self, column: pa.Field, proven: AbstractSet[str]) -> str | None:
        """Return the form of texts that need no closer look; None where all may stand, or each is looked at."""
        if self._guess is not None and self._guess.is_open(column.name):
            return _OPEN_FORMS.get(self._guess.kind(column.name)) or form_of(column)
        return None if column.name in proven else form_of(column)

    @contextlib.contextmanager
    def read(self, format_: NativeFormat) -> Iterator[Iterator[bytes]]:
        """Read the files; a thread of its own looks at the values meanwhile."""
        with _Check(self._look) as check:
            yield self._blocks(check)

    def _blocks(self, check: "_Check") -> Iterator[bytes]:
        for file in self._files:
            try:
                for block in self._file_blocks(file):
                    check.add(block)
                    yield block
            except InputError as error:  # said again, with the rows before it, by the way of batches
                raise RowsNeededError(str(error)) from error
            self._on_end(file)
        check.finish()

    def _file_blocks(self, file: SourceFile) -> Iterator[bytes]:
        """Yield whole records, but no blank lines at the end of the file."""
        quote = self._format.config.quote.encode()
        with self._format.open(file, is_numbered=False) as body:
            if body.names != self.schema.names:
                raise RowsNeededError(f"{file.display} has other columns than the files before it")
            rest, is_open = b"", False
            while block := body.stream.read(CHUNK_BYTES):
                is_open ^= block.count(quote) % 2 == 1
                cut = records_end(block, quote, is_open=is_open)
                if not cut:
                    rest += block
                    if len(rest) > self._format.large_block_bytes:
                        raise RowsNeededError(f"{file.display} has a record of more than {len(rest)} bytes")
                    continue
                records, rest = rest + block[:cut], block[cut:]
                # Blank lines at the end are no rows, except in a file of one column.
                if len(body.names) > 1 and (blank := _blank_end(records)):
                    records, rest = records[:-blank], records[-blank:] + rest
                if records:
                    yield records
            if is_open:
                raise RowsNeededError(f"{file.display} ends inside a quote")
            if rest and (len(body.names) == 1 or rest.strip(_BREAKS)):
                yield rest if rest[-1:] in _BREAKS else rest + body.line_break

    def _look(self, block: bytes) -> None:
        """Look at whole records, in the thread of the check."""
        if self._plain is not None and matches(block, self._plain):
            names = self._formless
        elif matches(block, self._strict):
            names = self.schema.names
        else:
            raise RowsNeededError("a record is not written strictly")
        unproven = [column for column in self._unproven if column.name in names]
        open_ = list(filter(self._is_open, names))
        wanted = {column.name for column in unproven}.union(open_)
        if not wanted:
            return
        batch = self._format.parse_block(block, self.schema.names, list(wanted))
        for column in unproven:
            _refuse_unplain(batch, column)
        if self._guess is None:
            return
        for name in open_:
            self._guess.add(name, kind_of_text(batch.column(name), self._guess.kind(name)))
        if not self._guess.schema().equals(self.schema, check_metadata=True):
            raise TypesNeededError("the types of the first rows are not those of all")

    def _is_open(self, name: str) -> bool:
        return self._guess is not None and self._guess.is_open(name)


def _blank_end(records: bytes) -> int:
    """Return the bytes of the line breaks at the end, but for the one that ends a record."""
    kept = len(records.rstrip(_BREAKS))
    if kept:
        kept += 2 if records.startswith(b"\r\n", kept) else 1
    return max(0, len(records) - kept)


def _refuse_unplain(batch: Batch, column: pa.Field) -> None:
    values = batch.column(column.name)
    if pa.types.is_string(column.type):
        _, bad = convert(values, column)
        refused = bad is not None and pc.any(bad).as_py()
    else:
        refused = plain_cast(values, column.type) is None
    if refused:
        raise RowsNeededError(f"a value of column {column.name!r} is not plain")


class _Check:
    """Calls a function with one block after the other, in a thread of its own and a few blocks behind."""

    def __init__(self, look: Callable[[bytes], None]) -> None:
        self._look = look
        self._pool = ThreadPoolExecutor(1, "check CSV")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, block: bytes) -> None:
        """Have a block looked at, and raise what was found in one of those before it."""
        while self._waiting and (len(self._waiting) >= _BLOCKS_AHEAD or self._waiting[0].done()):
            self._take()
        self._waiting.append(self._pool.submit(self._look, block))

    def finish(self) -> None:
        """Wait for the last block."""
        while self._waiting:
            self._take()

    def _take(self) -> None:
        try:
            self._waiting.popleft().result()
        except (RowsNeededError, TypesNeededError):
            raise
        except Exception as error:  # whatever it is, the way of batches meets it again and says it
            raise RowsNeededError(str(error) or type(error).__name__) from error

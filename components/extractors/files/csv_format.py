"""CSV and TSV: read as text by Arrow, then typed column by column.

Both passes read every column as text. Measured on 337,000 rows of 19 columns, that costs 0.1 s in
each pass of 0.2 s; in return bad values are found by the same code wherever they are.
"""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from dteg.connectors.native import RowsNeededError
from dteg.core.batch import Batch
from dteg.core.errors import InputError
from dteg.core.types import sql_type

from .config import FilesConfig, RejectRow
from .conversion import convert_batch
from .csv_lines import matches, records_end, strict_pattern
from .csv_native import CsvSource, can_be_checked, copy_format
from .csv_quotes import unclosed_quote_line
from .formats import BATCH_BYTES, BATCH_ROWS, InferredFormat, check_header
from .inference import Inference, kind_of_text
from .locations import SourceFile
from .opening import open_bytes
from .text_stream import CHUNK_BYTES, TextStream, line_breaks

RaggedRow = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Body:
    """A file opened behind its header."""

    stream: TextStream
    names: list[str]
    first_line: int
    line_break: bytes


class CsvFormat(InferredFormat):
    """Reads delimited text.

    Attributes:
        headers: Columns of the files that were looked at.
        sampled: Types were inferred from a part of the rows, as the config says.
    """

    def __init__(self, config: FilesConfig, reject: RejectRow) -> None:
        super().__init__(config, reject)
        self.headers: dict[str, list[str]] = {}
        self.sampled = self._guesses = False

    @property
    def large_block_bytes(self) -> int:
        """Size of the blocks for records that do not fit a small one."""
        return 2 * max(CHUNK_BYTES, self.config.max_line_bytes)

    def guess(self, files: list[SourceFile]) -> pa.Schema:
        """Return what `schema` would say if the rows behind the first blocks were like those in them."""
        self._guesses = copy_format(self.config) is not None and not self.config.infer_rows
        return self.schema(files)

    def native(
        self, files: list[SourceFile], schema: pa.Schema, on_end: Callable[[SourceFile], None]
    ) -> CsvSource | None:
        """Offer the files as the bytes they are, after `schema`."""
        wire = copy_format(self.config)
        same = all(self.headers.get(file.display) == schema.names for file in files)
        if wire is None or not same or not all(map(can_be_checked, schema)):
            return None
        if self.is_guess and len(files) < len(self.headers):
            return None  # the types come from the other files too
        proven = {name for name, column in self.declared.items() if sql_type(column) in ("text", "varchar")}
        if not self.sampled:
            proven |= self.proven
        guess = self.inference if self.is_guess else None
        return CsvSource(self, files, schema, wire=wire, proven=proven, guess=guess, on_end=on_end)

    def observe(self, file: SourceFile, inference: Inference) -> None:
        """Look at the values of the columns whose type is still open."""
        with self.open(file) as body:
            names = self.headers[file.display] = body.names
            for name in names:
                inference.add_column(name)
            if not any(map(inference.is_open, names)) or (
                self._guesses and self._guess_from(body, inference)
            ):
                return
        rows = 0
        for batch in self.text_batches(file, lambda _: None):
            open_columns = [name for name in names if inference.is_open(name)]
            if 0 < self.config.infer_rows <= rows:
                self.sampled = True
                return
            if not open_columns:
                return
            for name in open_columns:
                inference.add(name, kind_of_text(batch.column(name), inference.kind(name)))
            rows += batch.num_rows

    def _guess_from(self, body: Body, inference: Inference) -> bool:
        """Look at the values of the first block only; return False if there are no more, or it cannot be relayed."""
        block = body.stream.read(CHUNK_BYTES)
        quote = self.config.quote.encode()
        records = block[: records_end(block, quote, is_open=block.count(quote) % 2 == 1)]
        strict = strict_pattern(self.config.field_delimiter, self.config.quote)
        if not records or not body.stream.read(1) or not matches(records, strict):
            return False
        names = list(filter(inference.is_open, body.names))
        try:
            batch = self.parse_block(records, body.names, names)
        except (RowsNeededError, pa.ArrowInvalid):
            return False
        for name in names:
            inference.add(name, kind_of_text(batch.column(name), inference.kind(name)))
        self.is_guess |= any(map(inference.is_open, names))
        return True

    def read(self, file: SourceFile, schema: pa.Schema) -> Iterator[Batch]:
        """Yield the rows of a file; set aside those with a wrong number of columns or a wrong value."""
        ragged: list[int] = []

        def on_ragged(row: Any) -> None:
            if not ragged or row.number > ragged[-1]:
                ragged.append(row.number)
                reason = f"{row.actual_columns} columns where the header has {row.expected_columns}"
                self.reject(reason, f"{file.display} (row {row.number})", {"row": row.text})

        start = 0
        for batch in _regroup(self.text_batches(file, on_ragged)):

            def on_bad(index: int, reason: str, batch: Batch = batch, start: int = start) -> None:
                number = _row_number(start + index, ragged)
                payload = batch.slice(index, 1).to_pylist()[0]
                self.reject(reason, f"{file.display} (row {number})", payload)

            yield convert_batch(batch, schema, on_bad)
            start += batch.num_rows

    @contextmanager
    def open(self, file: SourceFile, *, is_numbered: bool = True) -> Iterator[Body]:
        """Open a file behind its header; counting its lines and quotes takes as long as all other looks at its bytes."""
        config = self.config
        with open_bytes(file.path, file.display, config.member) as raw:
            stream = TextStream(
                raw,
                file.display,
                config.encoding,
                config.max_line_bytes,
                config.quote.encode(),
                is_numbered=is_numbered,
            )
            yield self._read_header(stream, file.display)

    def _read_header(self, stream: TextStream, source: str) -> Body:
        head = stream.read(CHUNK_BYTES)
        first, used = self._first_record(head, source)
        while used == len(head) and (more := stream.read(CHUNK_BYTES)):
            if len(head) > self.config.max_line_bytes:
                raise InputError("the header does not end; look for a missing quote", source=source, line=1)
            head += more
            first, used = self._first_record(head, source)
        if not first:
            raise InputError("empty file", source=source)
        quote = self.config.quote.encode()
        if quote and used == len(head) and "\n" in first[-1] and head.count(quote) % 2:
            raise InputError("a quote is opened in the header and never closed", source=source, line=1)
        if not self.config.header:
            stream.unread(head)
            names = [f"column_{number}" for number in range(1, len(first) + 1)]
            return Body(stream, names, 1, _line_break(head[:used]))
        stream.unread(head[used:])
        check_header(first, source, 1)
        return Body(stream, first, line_breaks(head[:used]) + 1, _line_break(head[:used]))

    def _first_record(self, head: bytes, source: str) -> tuple[list[str], int]:
        """Return the first record that is not blank, and how many bytes it and the blank lines before it take."""
        lines = iter(io.StringIO(head.decode(), newline="").readline, "")
        taken = 0

        def counted() -> Iterator[str]:
            nonlocal taken
            for line in lines:
                taken += len(line.encode())
                yield line

        quote = self.config.quote
        reader = csv.reader(
            counted(),
            delimiter=self.config.field_delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        try:
            return next((record for record in reader if record), []), taken
        except csv.Error as error:
            raise InputError(f"the header is not valid CSV: {error}", source=source, line=1) from None

    def text_batches(
        self, file: SourceFile, on_ragged: RaggedRow, only: list[str] | None = None
    ) -> Iterator[Batch]:
        """Yield all columns, or some, as text, with large blocks from where a record does not fit a small one."""
        done = 0
        try:
            for batch in self._parse(file, on_ragged, CHUNK_BYTES, only):
                yield batch
                done += batch.num_rows
        except pa.ArrowInvalid as error:
            if "straddling" not in str(error):
                raise InputError(f"not valid CSV: {error}", source=file.display) from None
        else:
            return
        try:
            for batch in self._parse(file, on_ragged, self.large_block_bytes, only):
                skip = min(done, batch.num_rows)
                done -= skip
                if skip < batch.num_rows:
                    yield batch.slice(skip)
        except pa.ArrowInvalid as error:
            self._check_quotes(file)
            raise InputError(f"not valid CSV: {error}", source=file.display) from None

    def _parse(
        self, file: SourceFile, on_ragged: RaggedRow, block_bytes: int, only: list[str] | None
    ) -> Iterator[Batch]:
        with self.open(file) as body:
            stream = body.stream
            start = stream.read(1)
            if not start:
                return
            stream.unread(start)
            try:
                yield from pacsv.open_csv(
                    pa.PythonFile(stream, mode="r"),
                    # One thread: rows are numbered only then, and reading is no slower.
                    pacsv.ReadOptions(column_names=body.names, block_size=block_bytes, use_threads=False),
                    self._parse_options(len(body.names), on_ragged),
                    self._convert_options(body.names, only),
                )
            except pa.ArrowInvalid as error:
                if "Empty CSV file" not in str(error):
                    raise
        if stream.quotes % 2:
            # Arrow takes the rest of the file as one value when a quote is never closed.
            self._check_quotes(file)

    def parse_block(self, block: bytes, names: list[str], only: list[str]) -> Batch:
        """Return some of the columns `names` of whole records as text.

        Raises:
            RowsNeededError: A record has another number of columns.
        """
        ragged: list[Any] = []
        table = pacsv.read_csv(
            pa.BufferReader(block),
            pacsv.ReadOptions(column_names=names, block_size=len(block), use_threads=False),
            self._parse_options(len(names), ragged.append),
            self._convert_options(names, only),
        )
        if ragged:
            raise RowsNeededError("a row has another number of columns")
        return pa.RecordBatch.from_arrays([column.combine_chunks() for column in table.columns], names=only)

    def _parse_options(self, columns: int, on_ragged: RaggedRow) -> pacsv.ParseOptions:
        def skip(row: Any) -> str:
            on_ragged(row)
            return "skip"

        return pacsv.ParseOptions(
            delimiter=self.config.field_delimiter,
            quote_char=self.config.quote or False,
            newlines_in_values=True,
            # In a file of one column an empty line is a row with a null.
            ignore_empty_lines=columns > 1,
            invalid_row_handler=skip,
        )

    def _convert_options(self, names: list[str], only: list[str] | None) -> pacsv.ConvertOptions:
        return pacsv.ConvertOptions(
            check_utf8=False,  # TextStream has checked it
            include_columns=only,
            column_types=dict.fromkeys(names, pa.string()),
            null_values=self.config.null_values,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    def _check_quotes(self, file: SourceFile) -> None:
        if not self.config.quote:
            return
        with self.open(file) as body:
            line = unclosed_quote_line(
                body.stream, self.config.field_delimiter, self.config.quote, body.first_line
            )
        if line:
            raise InputError("a quote is opened here and never closed", source=file.display, line=line)


def _line_break(record: bytes) -> bytes:
    """Return what ends a record."""
    if record.endswith(b"\r\n"):
        return b"\r\n"
    return b"\r" if record.endswith(b"\r") else b"\n"


def _regroup(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Join small batches into ones of a good size."""
    group: list[Batch] = []
    rows = size = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= BATCH_ROWS or size >= BATCH_BYTES:
            joined = pa.concat_batches(group)
            group, rows, size = (
                [],
                0,
                0,
            )  # before the yield: the small batches are not kept beside the joined one
            yield joined
    if rows:
        yield pa.concat_batches(group)


def _row_number(index: int, ragged: list[int]) -> int:
    """Return the 1-based row in the file of the `index`-th row that was not ragged."""
    number = index + 1
    for skipped in ragged:
        if skipped > number:
            break
        number += 1
    return number

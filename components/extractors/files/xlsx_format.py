"""Workbooks of spreadsheets: the rows of one sheet, read one after the other; each cell says its own type."""

import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dteg.core.batch import Batch
from dteg.core.errors import InputError, MissingExtraError

from .conversion import convert_batch
from .formats import InferredFormat, check_header
from .inference import Inference, Kind, join, kind_of_integers
from .locations import SourceFile
from .opening import open_seekable, reading

if TYPE_CHECKING:
    from openpyxl import Workbook

GROUP_ROWS = 8192
MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
# A sheet is read row by row, but a row as a whole: no real one is near this size.
MAX_ROW_BYTES = 16 << 20
MAX_UNPACKED_BYTES = 4 << 30
# All texts of a workbook are kept in memory while it is read.
MAX_TEXT_BYTES = 512 << 20
_ERRORS = frozenset(["#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"])
_OLE = b"\xd0\xcf\x11\xe0"
_CHUNK_BYTES = 1 << 20

Cells = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    number: int
    cells: Cells


class XlsxFormat(InferredFormat):
    """Reads one sheet of a workbook; formulas count with the value that was saved with them."""

    def observe(self, file: SourceFile, inference: Inference) -> None:
        """Look at the cells of the columns whose type is still open."""
        seen = 0
        for names, rows in self._groups(file):
            for name in names:
                inference.add_column(name)
            for index, name in enumerate(names):
                if inference.is_open(name):
                    inference.add(name, kind_of_cells([row.cells[index] for row in rows]))
            seen += len(rows)
            if 0 < self.config.infer_rows <= seen:
                return

    def read(self, file: SourceFile, schema: pa.Schema) -> Iterator[Batch]:
        """Yield the rows; set aside those with an error, a wrong value, or a value outside of the named columns."""
        for names, rows in self._groups(file):
            places = {name: index for index, name in enumerate(names)}
            kept = [row for row in rows if self._is_good(file, row, names)]

            def on_bad(index: int, reason: str, kept: list[_Row] = kept, names: list[str] = names) -> None:
                self._reject(file, kept[index], names, reason)

            known = [target for target in schema if target.name in places]
            columns = [_column([row.cells[places[target.name]] for row in kept], target) for target in known]
            batch = pa.RecordBatch.from_arrays(columns, names=[target.name for target in known])
            if kept:
                yield convert_batch(batch, schema, on_bad)

    def _is_good(self, file: SourceFile, row: _Row, names: list[str]) -> bool:
        if any(cell is not None for cell in row.cells[len(names) :]):
            self._reject(file, row, names, f"more values than the {len(names)} columns that have a name")
            return False
        for index, cell in enumerate(row.cells[: len(names)]):
            if type(cell) is str and cell in _ERRORS:
                self._reject(file, row, names, f"column {names[index]!r}: the cell holds the error {cell}")
                return False
        return True

    def _reject(self, file: SourceFile, row: _Row, names: list[str], reason: str) -> None:
        payload = {name: _plain(cell) for name, cell in zip(names, row.cells, strict=False)}
        self.reject(reason, f"{file.display} (sheet row {row.number})", payload)

    def _groups(self, file: SourceFile) -> Iterator[tuple[list[str], list[_Row]]]:
        """Yield the names of the columns with some rows, all of them at least as long as the names."""
        names: list[str] | None = None if self.config.header else []
        group: list[_Row] = []
        for row in self._rows(file):
            if names is None:
                names = _names(row, file.display)
                continue
            if not self.config.header and len(row.cells) > len(names):
                names = [f"column_{number}" for number in range(1, len(row.cells) + 1)]
            missing = len(names) - len(row.cells)
            group.append(_Row(row.number, row.cells + (None,) * missing) if missing > 0 else row)
            if len(group) >= GROUP_ROWS:
                yield names, _filled(group, len(names))
                group = []
        if names is None or not (names or group):
            raise InputError("the sheet is empty", source=file.display)
        yield names, _filled(group, len(names))

    def _rows(self, file: SourceFile) -> Iterator[_Row]:
        """Yield the rows that are not blank, without empty cells at their end."""
        with (
            open_seekable(file.path, file.display, self.config.member) as path,
            reading(file.display),
            _opened(path, file.display) as workbook,
        ):
            sheet = _sheet(workbook, self.config.sheet, file.display)
            _refuse_giant_rows(path, sheet._worksheet_path, file.display)  # noqa: SLF001 - where its XML lies
            sheet.reset_dimensions()  # what the file says of its size may be wrong
            for number, cells in _numbered(sheet.iter_rows(values_only=True), file.display):
                if kept := _trimmed(cells):
                    yield _Row(number, kept)


def _numbered(rows: Iterator[Cells], source: str) -> Iterator[tuple[int, Cells]]:
    """Yield rows with their numbers, as long as they are those of a spreadsheet."""
    for number in range(1, MAX_ROWS + 2):
        try:  # and no context manager: it would take longer than the row
            cells = next(rows)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - what a parser says of damage is of any class
            raise _damaged(error, source, number - 1) from None
        if len(cells) > MAX_COLUMNS:
            raise InputError(f"row {number} has more than {MAX_COLUMNS:,} cells", source=source)
        yield number, cells
    raise InputError(f"more than {MAX_ROWS:,} rows, which no spreadsheet has", source=source)


@contextmanager
def _opened(path: Path, source: str) -> "Iterator[Workbook]":
    """Open a workbook that is not larger, unpacked, than can be read."""
    try:
        import openpyxl
    except ImportError:
        raise MissingExtraError("excel", f"{source}: reading .xlsx") from None

    with path.open("rb") as file:
        if file.read(4) == _OLE:
            message = "protected by a password, or a workbook in the old .xls form; save it as .xlsx without a password"
            raise InputError(message, source=source)
    with zipfile.ZipFile(path) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    texts = sum(size for name, size in sizes.items() if name.lower().endswith(("strings.xml", "styles.xml")))
    if sum(sizes.values()) > MAX_UNPACKED_BYTES or texts > MAX_TEXT_BYTES:
        raise InputError("too large when unpacked; save the sheet as CSV", source=source)
    # Of what is only about looks; a date that is none is seen as the error that its cell becomes.
    warnings.filterwarnings("ignore", module="openpyxl")
    with _understood(source):
        workbook = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        yield workbook
    finally:
        workbook.close()


@contextmanager
def _understood(source: str) -> Iterator[None]:
    """Say that a workbook is damaged, whichever way the parser stumbles over it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - what a parser says of damage is of any class
        raise _damaged(error, source) from None


def _damaged(error: Exception, source: str, row: int = 0) -> Exception:
    if isinstance(error, InputError | OSError | EOFError | zipfile.BadZipFile | MemoryError):
        return error
    text = " ".join(str(error).split())[:200] or type(error).__name__
    after = f" after row {row}" if row else ""
    return InputError(f"not an .xlsx workbook, or damaged{after}: {text}", source=source)


def _sheet(workbook: "Workbook", wanted: str | None, source: str) -> Any:
    """Return the wanted sheet, else the first one that is shown."""
    sheets = {each.title: each for each in workbook.worksheets}
    if not sheets:
        raise InputError("the workbook has no sheet of cells", source=source)
    if wanted is None:
        shown = [each for each in sheets.values() if each.sheet_state == "visible"]
        return (shown or list(sheets.values()))[0]
    if wanted not in sheets:
        raise InputError(f"has no sheet {wanted!r}; there are: {', '.join(sheets)}", source=source)
    return sheets[wanted]


def _refuse_giant_rows(path: Path, member: str, source: str) -> None:
    """Refuse a sheet that hides a row of gigabytes in a small archive, before a parser holds all of it."""
    since = 0
    with zipfile.ZipFile(path) as archive, _understood(source), archive.open(member) as file:
        while chunk := file.read(_CHUNK_BYTES):
            last = chunk.rfind(b"row>")
            since = len(chunk) - last if last >= 0 else since + len(chunk)
            if since > MAX_ROW_BYTES:
                raise InputError(
                    f"a row of more than {MAX_ROW_BYTES >> 20} MiB; save the sheet as CSV", source=source
                )


def _trimmed(cells: Cells) -> Cells:
    end = len(cells)
    while end and (cells[end - 1] is None or cells[end - 1] == ""):
        end -= 1
    return cells[:end]


def _filled(group: list[_Row], width: int) -> list[_Row]:
    """Return rows that are all so wide; without a header, rows before a wider one are not."""
    return [
        row if len(row.cells) >= width else _Row(row.number, row.cells + (None,) * (width - len(row.cells)))
        for row in group
    ]


def _names(row: _Row, source: str) -> list[str]:
    names = ["" if cell is None else str(_plain(cell)).strip() for cell in row.cells]
    check_header(names, source, row.number)
    return names


def kind_of_cells(cells: list[Any]) -> Kind:
    """Return the kind of cells; empty ones and errors say nothing."""
    kinds = {type(cell) for cell in cells}
    if str in kinds:
        if any(type(cell) is str and cell and cell not in _ERRORS for cell in cells):
            return Kind.TEXT
        kinds.discard(str)
    kinds.discard(type(None))
    if kinds <= {int, float}:
        integers = [cell for cell in cells if type(cell) is int]
        whole = kind_of_integers(min(integers), max(integers)) if integers else Kind.NULL
        return join(whole, Kind.DOUBLE if float in kinds else Kind.NULL)
    if kinds == {bool}:
        return Kind.BOOLEAN
    if kinds <= {datetime, date}:
        times = (cell for cell in cells if type(cell) is datetime)
        return Kind.TIMESTAMP if any(each.time() != time.min for each in times) else Kind.DATE
    return Kind.TEXT


def _column(cells: list[Any], target: pa.Field) -> pa.Array:
    """Return the cells in the target's type, or as text when that does not work for all of them."""
    types, type_ = pa.types, target.type
    if types.is_date(type_):
        cells = [
            cell.date() if type(cell) is datetime and cell.time() == time.min else cell for cell in cells
        ]
    if not types.is_string(type_) and not types.is_decimal(type_):
        try:
            return pa.array(cells, type_)
        except (pa.ArrowException, TypeError, OverflowError, ValueError):
            pass
    return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())


def _text(cell: Any) -> str:
    """Write a cell as a text file would hold it."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return str(cell.date()) if cell.time() == time.min else cell.isoformat(" ")
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    if isinstance(cell, timedelta):
        seconds = round(cell.total_seconds())
        return (
            f"{'-' * (seconds < 0)}{abs(seconds) // 3600}:{abs(seconds) // 60 % 60:02}:{abs(seconds) % 60:02}"
        )
    return str(cell)


def _plain(cell: Any) -> Any:
    return cell if isinstance(cell, int | float | str | None) else _text(cell)

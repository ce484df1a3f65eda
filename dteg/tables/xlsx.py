"""Rows made a workbook: written row by row to a temporary file, because the parts of a workbook end in an archive."""

import contextlib
import math
import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.types.string import TextLoader

from dteg.core.errors import InputError, MissingExtraError
from dteg.tables.catalogue import Connection
from dteg.tables.models import Column
from dteg.tables.read import Query, plain

if TYPE_CHECKING:
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

MAX_ROWS, MAX_COLUMNS, MAX_CHARACTERS = 1_048_576, 16_384, 32_767
FETCHED_ROWS = 2_000
_CHUNK_BYTES = 1 << 20
# A cell holds a double: what is longer would come back as another number.
_EXACT_INTEGER, _EXACT_DIGITS = 2**53, 15
_FIRST_DAY = date(1900, 3, 1)  # spreadsheets know a 29 February 1900
_AS_TEXT = ("date", "timestamp", "timestamptz", "time", "timetz", "interval")
_FORMATS = {"date": "yyyy-mm-dd", "timestamp": "yyyy-mm-dd hh:mm:ss", "timestamptz": "yyyy-mm-dd hh:mm:ss"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def xlsx_of(connection: Connection, query: Query, folder: Path, *, formula_guard: bool) -> Iterator[bytes]:
    """Yield a workbook of one sheet.

    Numbers that a spreadsheet would round, and dates that it does not know, become texts; times with a zone are UTC.

    Raises:
        InputError: The rows do not fit on a sheet.
        MissingExtraError: The library that writes workbooks is not installed.
    """
    try:
        import xlsxwriter
    except ImportError:
        raise MissingExtraError("excel", "writing .xlsx") from None
    if len(query.columns) > MAX_COLUMNS:
        raise InputError(f"a sheet holds {MAX_COLUMNS:,} columns; choose some with --columns, or use csv")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="xlsx-", dir=folder) as place:
        path = Path(place) / "table.xlsx"
        book = xlsxwriter.Workbook(
            str(path),
            {
                "constant_memory": True,
                "tmpdir": place,
                "strings_to_formulas": False,
                "strings_to_urls": False,
            },
        )
        try:
            _Sheet(book, query, formula_guard=formula_guard).fill(connection)
        except BaseException:
            with contextlib.suppress(Exception):  # only to let go of its temporary files
                book.close()
            raise
        book.close()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


class _Sheet:
    def __init__(self, book: "Workbook", query: Query, *, formula_guard: bool) -> None:
        self._sheet: Worksheet = book.add_worksheet(_title(query.relation.name.name))
        self._query, self._guard = query, formula_guard
        styles = {name: book.add_format({"num_format": text}) for name, text in _FORMATS.items()}
        bold = book.add_format({"bold": True})
        for index, column in enumerate(query.columns):
            self._sheet.write_string(0, index, self._text(column.name, 0, column, is_text=True), bold)
        self._sheet.freeze_panes(1, 0)
        self._is_text = [query.relation.is_text[column.name] for column in query.columns]
        self._styles = [styles.get(column.type.split("(")[0]) for column in query.columns]

    def fill(self, connection: Connection) -> None:
        with connection.cursor(name="dteg_export") as cursor:
            cursor.itersize = FETCHED_ROWS
            for name in _AS_TEXT:
                cursor.adapters.register_loader(name, TextLoader)
            cursor.execute(self._query.select(), self._query.values)
            for number, row in enumerate(cursor, start=1):
                if number >= MAX_ROWS:
                    raise InputError(
                        f"{self._query.relation.name} has more rows than the {MAX_ROWS - 1:,} of a sheet; use csv or "
                        "parquet, or choose rows with --where"
                    )
                self._write_row(number, row)

    def _write_row(self, number: int, row: tuple[Any, ...]) -> None:
        for index, value in enumerate(row):
            if value is None:
                continue
            column, sheet = self._query.columns[index], self._sheet
            if isinstance(value, bool):
                sheet.write_boolean(number, index, value)
            elif isinstance(value, int | float | Decimal) and _is_exact(value):
                sheet.write_number(number, index, value)
            elif self._styles[index] is not None and (moment := _moment(str(value))):
                sheet.write_datetime(number, index, moment, self._styles[index])
            else:
                sheet.write_string(
                    number, index, self._text(value, number, column, is_text=self._is_text[index])
                )

    def _text(self, value: Any, row: int, column: Column, *, is_text: bool) -> str:
        shown = plain(value)
        text = shown if isinstance(shown, str) else _json(shown)
        if self._guard and is_text and text.startswith(_FORMULA):
            text = f"'{text}"
        if len(text) > MAX_CHARACTERS:
            raise InputError(
                f"row {row}, column {column.name}: a text of {len(text):,} characters; a cell holds {MAX_CHARACTERS:,}: "
                "choose other columns, or use csv"
            )
        return text


def _json(value: Any) -> str:
    import orjson

    return orjson.dumps(value, default=str).decode()


def _is_exact(value: "int | float | Decimal") -> bool:
    if isinstance(value, int):
        return abs(value) <= _EXACT_INTEGER
    if isinstance(value, float):
        return math.isfinite(value)
    return value.is_finite() and len(value.as_tuple().digits) <= _EXACT_DIGITS


def _moment(text: str) -> date | datetime | None:
    """Return a date or time as spreadsheets know it; None for those before 1900, infinite ones and the like."""
    try:
        found = (
            datetime.fromisoformat(text).replace(tzinfo=None) if len(text) > 10 else date.fromisoformat(text)
        )
    except ValueError:
        return None
    day = found.date() if isinstance(found, datetime) else found
    return found if day >= _FIRST_DAY else None


def _title(name: str) -> str:
    """Return a name of a sheet: at most 31 characters, and none of those that have a meaning there."""
    return "".join("_" if each in "[]:*?/\\" else each for each in name)[:31].strip("'") or "table"

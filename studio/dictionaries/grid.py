"""Rows as a form: cells are fields, and what comes back is compared with what was shown.

Row number N has the fields `rN.<column>`, `oN` (its texts as they were shown, as JSON; empty for a new row) and `dN`
(delete it). A row that does not come back, because a script has left out what was not touched, stays as it is.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dteg.core.errors import ConfigError
from dteg.dictionaries.models import Dictionary, DictionaryColumn, Row

# What types are called on pages, for people who know no SQL.
LABELS: dict[str, str] = {
    "text": "text", "integer": "whole number", "numeric": "number", "boolean": "yes or no", "date": "date",
    "timestamptz": "date and time",
}  # fmt: skip
NEW_ROWS = 3
MAX_ROWS = 50
# A form has at most 1,000 fields.
_MAX_CELLS = 750
_LONG = 60
_PLACE = re.compile(r"^rows\[(\d+)\]\.?(.*)$")
_ISO_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True)
class Cell:
    """One field.

    Attributes:
        column: Whose.
        text: What it holds.
        error: What is wrong with it.
    """

    column: DictionaryColumn
    text: str
    error: str = ""

    @property
    def is_long(self) -> bool:
        """Whether the text needs more than one line."""
        return self.column.type == "text" and (len(self.text) > _LONG or "\n" in self.text)

    @property
    def is_day(self) -> bool:
        """Whether a browser can offer a calendar; it would lose a text that is no such day."""
        return self.column.type == "date" and (not self.text or bool(_ISO_DAY.match(self.text)))


@dataclass(frozen=True)
class GridRow:
    """One line of the grid.

    Attributes:
        number: Of its fields.
        original: Its texts as they were shown at first, as JSON; "" for a new row.
        cells: Its fields.
        is_deleted: Whether it is to be deleted.
    """

    number: int
    original: str
    cells: list[Cell]
    is_deleted: bool = False

    @property
    def label(self) -> str:
        """What names it for who cannot see it."""
        return json.loads(self.original)[0] if self.original else "new row"


@dataclass
class Sent:
    """What a form wants.

    Attributes:
        rows: The lines of the form.
        put: Rows to insert or update.
        numbers: Number of the line of each of `put`.
        delete: Keys of rows to delete.
        new: Keys of `put` that must not be there before.
    """

    rows: list[GridRow] = field(default_factory=list)
    put: list[Row] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def ordered(dictionary: Dictionary) -> list[DictionaryColumn]:
    """Return the columns with the key first."""
    return sorted(dictionary.columns, key=lambda each: each.name != dictionary.key)


def rows_per_page(dictionary: Dictionary) -> int:
    """Return how many rows fit into one form."""
    return max(5, min(MAX_ROWS, _MAX_CELLS // (len(dictionary.columns) + 2) - NEW_ROWS))


def shown(value: Any, type_: str = "") -> str:
    """Return a value as a field shows it; times as they are in JSON look like those of the database."""
    if isinstance(value, bool):
        return str(value).lower()
    if type_ == "timestamptz" and isinstance(value, str):
        return value.replace("T", " ").removesuffix(":00")
    return "" if value is None else str(value)


def grid_of(dictionary: Dictionary, rows: Sequence[Sequence[Any]], new_rows: int = NEW_ROWS) -> list[GridRow]:
    """Return rows as they are, and some empty ones.

    Args:
        dictionary: Whose.
        rows: Values in the order of `dictionary.columns`.
        new_rows: How many empty ones.
    """
    columns = ordered(dictionary)
    places = [dictionary.columns.index(column) for column in columns]
    grid = []
    for number, row in enumerate(rows):
        texts = [shown(row[place]) for place in places]
        cells = [Cell(column, text) for column, text in zip(columns, texts, strict=True)]
        grid.append(GridRow(number, json.dumps(texts), cells))
    start = len(grid)
    return grid + [
        GridRow(start + more, "", [Cell(column, "") for column in columns]) for more in range(new_rows)
    ]


def read_form(dictionary: Dictionary, form: Mapping[str, str]) -> Sent:
    """Return what a form wants.

    Args:
        dictionary: What it is about.
        form: Texts by name of the field, with the spaces that were typed.

    Raises:
        ConfigError: It was not made by our page.
    """
    sent = Sent()
    columns = ordered(dictionary)
    for number in sorted(int(name[1:]) for name in form if re.fullmatch(r"o\d{1,6}", name)):
        original = form[f"o{number}"]
        before = _before(original, len(columns))
        texts = [_unix(form.get(f"r{number}.{column.name}", "")) for column in columns]
        deleted = f"d{number}" in form
        cells = [Cell(column, text) for column, text in zip(columns, texts, strict=True)]
        sent.rows.append(GridRow(number, original, cells, deleted))
        if deleted:
            sent.delete += [before[0]] if before else []
        elif wanted := _wanted(columns, before, texts):
            sent.put.append(wanted)
            sent.numbers.append(number)
            if not before or _unix(before[0]) != texts[0]:  # another key is another row
                sent.delete += [before[0]] if before else []
                sent.new += [texts[0]] if texts[0].strip() else []
    return sent


def with_errors(sent: Sent, error: ConfigError) -> tuple[list[GridRow], list[str]]:
    """Return the lines of a form with what is wrong beside its cells, and what is wrong elsewhere."""
    errors: dict[tuple[int, str], str] = {}
    others = []
    for problem in error.problems:
        place = _PLACE.match(problem.path)
        number = sent.numbers[int(place[1])] if place and int(place[1]) < len(sent.numbers) else None
        if place is None or number is None:
            others.append(str(problem))
        else:
            errors.setdefault((number, place[2]), problem.message)
    return [
        GridRow(
            row.number, row.original,
            [Cell(cell.column, cell.text, errors.get((row.number, cell.column.name), "")) for cell in row.cells],
            row.is_deleted,
        )
        for row in sent.rows
    ], others  # fmt: skip


def laid_over(page: list[GridRow], sent: list[GridRow]) -> list[GridRow]:
    """Return the rows of a page with what was typed into them, and behind them those that were sent beside."""
    typed = {_key(row.original): row for row in sent if row.original}
    on_page = [typed.pop(_key(row.original), row) if row.original else row for row in page]
    new = [row for row in sent if not row.original and any(cell.text for cell in row.cells)]
    rows = [row for row in on_page if row.original] + list(typed.values()) + new
    rows += [row for row in on_page if not row.original]
    return [GridRow(number, row.original, row.cells, row.is_deleted) for number, row in enumerate(rows)]


def _key(original: str) -> str:
    return str(json.loads(original)[0])


def _before(original: str, width: int) -> list[str]:
    if not original:
        return []
    try:
        texts = json.loads(original)
    except ValueError:
        texts = None
    if not isinstance(texts, list) or len(texts) != width or not all(isinstance(each, str) for each in texts):
        raise ConfigError("the columns were changed meanwhile: load the page again, then make your changes")
    return texts


def _wanted(columns: Sequence[DictionaryColumn], before: list[str], texts: list[str]) -> Row | None:
    """Return what of a row is to be put; None if nothing was typed."""
    if not before:
        return _values(columns, texts) if any(text.strip() for text in texts) else None
    changed = [
        (column, text) for column, old, text in zip(columns, before, texts, strict=True) if text != _unix(old)
    ]
    if not changed:
        return None
    if texts[0] != _unix(before[0]):
        return _values(columns, texts)
    return {columns[0].name: texts[0], **_values(*zip(*changed, strict=True))}


def _values(columns: Sequence[DictionaryColumn], texts: Sequence[str]) -> Row:
    return {column.name: text or None for column, text in zip(columns, texts, strict=True)}


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")

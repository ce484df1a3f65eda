"""What goes into the operations on dictionaries, and what comes out: plain JSON."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dteg.core.config import ConfigModel

SCHEMA = "dict"
SLUG_PATTERN = r"^[a-z][a-z0-9_]{0,40}$"
COLUMN_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
RESERVED = ("new",)
MAX_COLUMNS = 50
DEFAULT_PAGE = 100
MAX_PUT_ROWS = 5_000

DictionaryType = Literal["text", "integer", "numeric", "boolean", "date", "timestamptz"]
# A key is compared as text too: its text must be the same for equal values.
KEY_TYPES = ("text", "integer", "date")

Slug = Annotated[str, Field(pattern=SLUG_PATTERN)]
Row = dict[str, Any]


class DictionaryColumn(ConfigModel):
    """One column of a dictionary."""

    name: str = Field(pattern=COLUMN_PATTERN, description="Its name: small letters, digits and _.")
    type: DictionaryType = Field("text", description="What its values are.")
    description: str = Field("", max_length=500, description="A sentence for people.")


class NewDictionary(ConfigModel):
    """A dictionary to make."""

    slug: Slug = Field(description="Its name in addresses and datasets: small letters, digits and _.")
    title: str = Field("", max_length=200, description="Its name for people; default: the slug.")
    key: str = Field(description="The column that values are looked up by; each row has another one.")
    columns: list[DictionaryColumn] = Field(
        min_length=1, max_length=MAX_COLUMNS, description="Its columns, the key among them."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.slug in RESERVED:
            raise ValueError(f"{self.slug!r} is the name of a page; choose another slug")
        types: dict[str, str] = {}
        for column in self.columns:
            if column.name in types:
                raise ValueError(f"two columns are called {column.name!r}")
            types[column.name] = column.type
        if self.key not in types:
            raise ValueError(
                f"the key {self.key!r} is none of the columns; there are: {', '.join(types) or 'none'}"
            )
        if types[self.key] not in KEY_TYPES:
            raise ValueError(f"the key is of type {types[self.key]}; use one of {', '.join(KEY_TYPES)}")
        return self


class DictionaryUpdate(ConfigModel):
    """What to change about a dictionary; its rows stay."""

    title: str | None = Field(None, max_length=200, description="Its new name for people.")
    add_columns: list[DictionaryColumn] = Field(
        [], max_length=MAX_COLUMNS, description="Columns to add at the end, empty in each row."
    )


class Dictionary(ConfigModel):
    """One dictionary."""

    slug: str = Field(description="Its name in addresses and datasets.")
    title: str = Field(description="Its name for people.")
    key: str = Field(description="The column that values are looked up by.")
    columns: list[DictionaryColumn] = Field(description="Its columns, in order.")
    rows: int = Field(description="Number of rows.")
    version: int = Field(description="Grows with each change of its rows.")
    created_at: datetime = Field(description="When it was made, UTC.")
    changed_at: datetime = Field(description="When its rows were last changed, UTC.")
    table: str = Field(description="The table that holds it, as `schema.table`.")

    @property
    def types(self) -> dict[str, DictionaryType]:
        """Type by column."""
        return {column.name: column.type for column in self.columns}


class DictionaryRows(ConfigModel):
    """Rows in the order of their keys: numbers with fractions and dates as text, so that they are exact."""

    columns: list[DictionaryColumn] = Field(description="Columns of each row.")
    rows: list[list[Any]] = Field(description="Values by row.")
    next: str | None = Field(None, description="`after` for the next rows; null at the end.")
    version: int = Field(description="Version of the dictionary that these rows are of.")


class RowProblem(ConfigModel):
    """One value that cannot be taken."""

    row: int | None = Field(None, description="1-based row, the header not counted; null: the whole file.")
    column: str = Field("", description="Its column, as far as it is about one.")
    key: str = Field("", description="Key of the row, to find it by.")
    message: str = Field(description="What is wrong and what to do.")

    def __str__(self) -> str:
        """Render as `row 3 (DE), column price: ...`."""
        parts = []
        if self.row is not None:
            parts.append(f"row {self.row}" + (f" ({self.key})" if self.key else ""))
        if self.column:
            parts.append(f"column {self.column}")
        return f"{', '.join(parts)}: {self.message}" if parts else self.message


class PutReport(ConfigModel):
    """What became of rows that were put."""

    inserted: int = Field(0, description="Rows that are new.")
    updated: int = Field(0, description="Rows with another value than before.")
    unchanged: int = Field(0, description="Rows that were just so before.")
    version: int = Field(0, description="Version of the dictionary after that.")


class PlannedChange(ConfigModel):
    """One row that a file changes."""

    what: Literal["insert", "update", "delete"] = Field(description="What is done.")
    key: str = Field(description="Key of the row.")
    old: Row | None = Field(None, description="The row before.")
    new: Row | None = Field(
        None, description="The row after; a column that the file does not have is not in it."
    )


class ImportReport(PutReport):
    """What became of a file, or would."""

    file: str = Field(description="Its name.")
    applied: bool = Field(description="Whether the dictionary was changed; if not, it is as it was.")
    replace: bool = Field(False, description="Whether rows that the file does not have are deleted.")
    rows_read: int = Field(0, description="Rows of the file.")
    deleted: int = Field(0, description="Rows that the file does not have, and that are deleted therefore.")
    columns: list[str] = Field([], description="Columns that the file has.")
    problems: list[RowProblem] = Field([], description="What is wrong, row by row; the first ones.")
    problem_count: int = Field(0, description="How many problems there are in all.")
    sample: list[PlannedChange] = Field([], description="Some of the rows that are changed.")


class Change(PlannedChange):
    """One change of one row, as it was done."""

    id: int = Field(description="Grows with time.")
    version: int = Field(description="Version of the dictionary after it.")
    at: datetime = Field(description="When, UTC.")
    who: str = Field(description="Who did it.")


class History(ConfigModel):
    """Some changes, newest first."""

    items: list[Change] = Field(description="The changes.")
    next: int | None = Field(None, description="`before` for older ones; null at the end.")

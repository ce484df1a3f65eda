"""What goes into the operations on tables, and what comes out: plain JSON."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName
from dteg.core.sql_types import canonical, parse_sql_type

FileFormat = Literal["csv", "tsv", "json", "jsonl", "parquet", "xlsx", "geojson"]
ExportFormat = Literal["csv", "json", "jsonl", "parquet", "xlsx"]
Mode = Literal["new", "replace", "append"]
Kind = Literal["table", "partitioned table", "view", "materialized view", "foreign table"]
FILE_FORMATS: tuple[str, ...] = get_args(FileFormat)
EXPORT_FORMATS: tuple[str, ...] = get_args(ExportFormat)
SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_toast", "_dteg", "ds_cache", "ds", "dict")
NUMBER_TYPES = frozenset(["smallint", "integer", "bigint", "real", "double precision", "numeric"])
MAX_READ_ROWS = 1_000_000
MAX_TEXT = 10_000


def _table(text: str) -> str:
    try:
        return str(TableName.parse(text))
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _type(text: str) -> str:
    try:
        parse_sql_type(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return canonical(text)


TableText = Annotated[str, Field(max_length=255), AfterValidator(_table)]
"""A table as `schema.table`; without a schema it is `public`."""
SqlTypeText = Annotated[str, Field(max_length=100), AfterValidator(_type)]
Name = Annotated[str, Field(min_length=1, max_length=63)]


class Column(ConfigModel):
    """One column of a table."""

    name: str = Field(description="Its name.")
    type: str = Field(description="SQL type, such as `numeric(12,2)`.")
    nullable: bool = Field(True, description="Whether it may hold nulls.")
    in_key: bool = Field(False, description="Whether it belongs to the primary key.")
    comment: str = Field("", description="What the database says about it.")


class TableSummary(ConfigModel):
    """One line of the list of tables."""

    table: str = Field(description="`schema.table`.")
    kind: Kind = Field(description="What it is.")
    rows: int | None = Field(None, description="Number of rows; null where only counting would tell.")
    rows_are_exact: bool = Field(False, description="Whether rows were counted; else the planner's estimate.")
    bytes: int = Field(0, description="Size on disk with indexes and large values (bytes).")
    column_count: int = Field(description="Number of columns.")
    comment: str = Field("", description="What the database says about it.")


class TableDetail(TableSummary):
    """One table with its columns."""

    columns: list[Column] = Field(description="The columns, in order.")


class TableList(ConfigModel):
    """A part of the list of tables."""

    items: list[TableSummary] = Field(description="Tables in order of their names.")
    next: str | None = Field(None, description="`after` for the next part; null at the end.")


class Selection(ConfigModel):
    """Which rows and columns of a table."""

    columns: list[Name] = Field([], max_length=1600, description="Columns, in order; default: all.")
    where: str = Field(
        "", max_length=MAX_TEXT, description="Condition, such as `age >= 18 and name like 'A%'`."
    )
    order_by: str = Field(
        "", max_length=64, description="Column to sort by; a minus before it sorts downwards."
    )
    limit: int | None = Field(None, ge=1, description="Rows at the most; default: all.")


class ReadChoice(Selection):
    """Rows to look at."""

    limit: int | None = Field(20, ge=1, le=MAX_READ_ROWS, description="Rows at the most.")
    after: int = Field(0, ge=0, le=1_000_000_000, description="Rows to pass over.")


class ReadRequest(ReadChoice):
    """Rows of one table to look at."""

    table: TableText = Field(description="Table or view.")


class ExportChoice(Selection):
    """Rows to write to a file, and how."""

    format: ExportFormat = Field(description="Format of the file.")
    formula_guard: bool = Field(
        True, description="csv, xlsx: put ' before texts that a spreadsheet would run as a formula."
    )


class ExportRequest(ExportChoice):
    """Rows of one table to write to a file."""

    table: TableText = Field(description="Table or view.")


class Rows(ConfigModel):
    """Rows of a table: numbers, booleans and JSON as they are, every other value as PostgreSQL writes it."""

    table: str = Field(description="Where they are from.")
    columns: list[Column] = Field(description="Columns of each row.")
    rows: list[list[Any]] = Field(description="Values by row.")
    next: int | None = Field(None, description="`after` for the next rows; null at the end.")


class CreateRequest(ConfigModel):
    """How a file becomes a table."""

    table: TableText = Field(description="Table to make.")
    format: FileFormat | None = Field(None, description="Format of the file; default: from its name.")
    types: dict[Name, SqlTypeText] = Field({}, description="SQL types by column; the others are inferred.")
    key: list[Name] = Field([], max_length=32, description="Columns of the primary key.")
    mode: Mode = Field("new", description="new: refuse a table that is there; replace or append its rows.")
    max_bad_rows: int = Field(0, ge=0, description="Rows that may be set aside instead of refusing the file.")
    options: dict[Name, Any] = Field(
        {},
        description="More settings of the files extractor, such as delimiter, encoding, sheet, records_path.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.key)) < len(self.key):
            raise ValueError("the key names a column twice")
        if TableName.parse(self.table).schema in SYSTEM_SCHEMAS:
            raise ValueError(
                f"the schema of {self.table} belongs to the database or to dteg; choose another one"
            )
        taken = {"path", "format", "stream", "columns", "primary_key", "headers"} & set(self.options)
        if taken:
            raise ValueError(f"the option {min(taken)} cannot be set like this")
        return self


class CreatedTable(ConfigModel):
    """What became of a file."""

    table: str = Field(description="The table.")
    mode: Mode = Field(description="How it was written.")
    rows_written: int = Field(description="Rows inserted or updated.")
    rows_rejected: int = Field(0, description="Rows set aside in `<table>__dead_letters`.")
    columns: dict[str, str] = Field(description="SQL type by column.")
    changes: list[str] = Field([], description="What was changed in a table that was there, in sentences.")
    bytes_read: int = Field(0, description="Bytes that were loaded.")
    seconds: float = Field(0.0, description="Duration (s).")


class Preview(ConfigModel):
    """What a file would become."""

    file: str = Field(description="Its name.")
    format: FileFormat = Field(description="Its format.")
    columns: list[Column] = Field(description="Columns with the types that all rows fit.")
    rows: list[list[Any]] = Field(description="The first rows, as texts.")
    bad_rows: list[str] = Field([], description="What is wrong with some of the first rows.")


class Use(ConfigModel):
    """Something that needs a table."""

    kind: str = Field(description="pipeline, model, dataset, view, foreign key, ...")
    name: str = Field(description="What it is called.")
    file: str = Field("", description="Where it is defined.")
    why: str = Field("", description="How it needs the table.")


class DeletedTable(ConfigModel):
    """A table that is gone."""

    table: str = Field(description="Its name.")
    kind: Kind = Field(description="What it was.")
    rows: int | None = Field(None, description="Rows it had, if they were counted.")


class Upload(ConfigModel):
    """A file that was sent."""

    id: str = Field(description="Names it in what follows.")
    name: str = Field(description="Its name, without a folder.")
    bytes: int = Field(description="Its size.")


class Job(ConfigModel):
    """A load that goes on beside the requests."""

    id: str = Field(description="Names it.")
    table: str = Field(description="Table that is made.")
    file: str = Field(description="File it is made from.")
    state: Literal["waiting", "running", "done", "failed"] = Field(description="How it stands.")
    started_at: datetime = Field(description="When it was asked for.")
    rows: int = Field(0, description="Rows loaded so far, where they are counted.")
    bytes: int = Field(0, description="Bytes loaded so far.")
    of_bytes: int = Field(0, description="Size of the file.")
    created: CreatedTable | None = Field(None, description="What became of it, when it is done.")
    code: str = Field("", description="Kind of the error, as in problem documents, when it failed.")
    error: str = Field("", description="What is wrong, when it failed; nothing has changed then.")

"""Rows of a table as the bytes of a file, in parts: memory does not grow with the table.

CSV and JSON are written by the server (COPY); Parquet from Arrow batches; a workbook goes through a temporary file.
"""

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from psycopg import sql

from dteg.core.control import session
from dteg.core.project import Project
from dteg.tables.catalogue import Connection
from dteg.tables.models import Column, ExportFormat, ExportRequest
from dteg.tables.read import Query, query_of

if TYPE_CHECKING:
    from psycopg.abc import Buffer

    from dteg.core.liveness import WatchedConnection

BLOCK_BYTES = 256 << 10
OWN_COLUMNS = frozenset(["_loaded_at"])
"""Left out unless they are asked for: a file with them could not be made a table again."""
FORMULA = r"^[=+\-@\t\r]"
# Texts of JSON hold no control characters, so each line leaves COPY exactly as it was made.
_VERBATIM = r"FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01', ESCAPE E'\x01', NULL E'\x03'"
MEDIA_TYPES: dict[ExportFormat, str] = {
    "csv": "text/csv; charset=utf-8", "json": "application/json", "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip


def export(project: Project, request: ExportRequest) -> Iterator[bytes]:
    """Yield the file in parts; all rows are those of one moment.

    Raises:
        NotFoundError: There is no such table.
        ConfigError: There is no such column, or the condition is none.
        InputError: The format cannot hold the rows.
    """
    with session(project) as connection, _snapshot(connection):
        query = query_of(connection, request.table, _with_columns(connection, request))
        with query.explaining():
            yield from _WRITERS[request.format](connection, query, request, project)


def _with_columns(connection: Connection, request: ExportRequest) -> ExportRequest:
    from dteg.core.identifiers import TableName
    from dteg.tables.catalogue import look_up

    if request.columns:
        return request
    names = [each.name for each in look_up(connection, TableName.parse(request.table)).columns]
    kept = [name for name in names if name not in OWN_COLUMNS]
    return request.model_copy(update={"columns": kept or names})


@contextmanager
def _snapshot(connection: "WatchedConnection") -> Iterator[None]:
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL intervalstyle = postgres")
        yield


def _copied(
    connection: Connection, query: sql.Composable, values: Sequence[object], options: str
) -> Iterator[bytes]:
    """Yield what COPY sends, in parts of about `BLOCK_BYTES` that end with a row."""
    statement = sql.SQL("COPY ({}) TO STDOUT ({})").format(query, sql.SQL(options))
    with connection.cursor() as cursor, cursor.copy(statement, values) as copy:
        parts: list[Buffer] = []
        size = 0
        for row in copy:
            parts.append(row)
            size += len(row)
            if size >= BLOCK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        if parts:
            yield b"".join(parts)


def _csv(connection: Connection, query: Query, request: ExportRequest, _: Project) -> Iterator[bytes]:
    header = io.StringIO()
    names = [column.name for column in query.columns]
    csv.writer(header, lineterminator="\n").writerow(map(guarded, names) if request.formula_guard else names)
    selected = query.select(_csv_columns(query, guard=request.formula_guard))
    blocks = _copied(connection, selected, query.values, "FORMAT csv")
    # With the first rows: if they cannot be had, nothing has begun.
    yield header.getvalue().encode() + next(blocks, b"")
    yield from blocks


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _csv_columns(query: Query, *, guard: bool) -> sql.Composable:
    def expression(column: Column) -> sql.Composable:
        name = sql.Identifier(column.name)
        if column.type == "boolean":  # true and false, which every program reads, and not t and f
            return sql.SQL("{0}::text AS {0}").format(name)
        if not (guard and query.relation.is_text[column.name]):
            return name
        template = "CASE WHEN {0}::text ~ {1} THEN '''' || {0}::text ELSE {0}::text END AS {0}"
        return sql.SQL(template).format(name, sql.Literal(FORMULA))

    return sql.SQL(", ").join(map(expression, query.columns))


def _json_lines(connection: Connection, query: Query, *_: object) -> Iterator[bytes]:
    taken = {column.name for column in query.columns}
    # Not the name of a column: that would be meant instead of the row.
    alias = next(name for number in itertools.count() if (name := f"_row{number}") not in taken)
    # A line break in JSON stands between values: columns of type json keep those of who wrote them.
    whole = sql.SQL("SELECT translate(row_to_json({0})::text, E'\\n\\r', '  ') FROM ({1}) AS {0}").format(
        sql.Identifier(alias), query.select()
    )
    yield from _copied(connection, whole, query.values, _VERBATIM)


def _json(connection: Connection, query: Query, request: ExportRequest, project: Project) -> Iterator[bytes]:
    start = b"[\n"
    for block in _json_lines(connection, query, request, project):
        yield start + block[:-1].replace(b"\n", b",\n")
        start = b",\n"
    yield b"\n]\n" if start == b",\n" else b"[]\n"


def _parquet(connection: Connection, query: Query, request: ExportRequest, _: Project) -> Iterator[bytes]:
    from dteg.tables.parquet import parquet_of

    blocks = _copied(connection, query.select(), query.values, "FORMAT csv, NULL ''")
    yield from parquet_of(
        blocks, query.relation.types, [column.name for column in query.columns], request.table
    )


def _xlsx(connection: Connection, query: Query, request: ExportRequest, project: Project) -> Iterator[bytes]:
    from dteg.tables.xlsx import xlsx_of

    yield from xlsx_of(connection, query, project.state_dir / "tmp", formula_guard=request.formula_guard)


_Writer = Callable[[Connection, Query, ExportRequest, Project], Iterator[bytes]]
_WRITERS: dict[ExportFormat, _Writer] = {
    "csv": _csv, "json": _json, "jsonl": _json_lines, "parquet": _parquet, "xlsx": _xlsx,
}  # fmt: skip

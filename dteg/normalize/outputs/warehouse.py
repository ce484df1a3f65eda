"""The tables in a schema of the warehouse, proved again there, in one transaction."""

import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from dteg.core.errors import ConflictError, QualityGateError
from dteg.core.identifiers import check_identifier
from dteg.core.postgres import connect, translated
from dteg.normalize.decompose import exceptions_name, here
from dteg.normalize.engine import Analysis, Normalized
from dteg.normalize.flat import TABLE, Flat, listed, literal, quoted
from dteg.normalize.outputs import ddl

_CHUNK = 1 << 20
_BACK = "came_back"
_MARK = "made by dteg normalize"


def load_tables(
    analysis: Analysis, result: Normalized, url: str, schema: str, *, replace: bool = False
) -> None:
    """Make the tables, their rows, keys and the view; read the view back and compare it with the file.

    Args:
        analysis: The file.
        result: The proved tables.
        url: The warehouse.
        schema: Where to; it is made if it is not there.
        replace: Exchange what an earlier run has made there; anything else in the schema stays and is refused.

    Raises:
        ConflictError: One of the tables is there already.
        QualityGateError: What came back is not the file.
        DtegError: The database refuses. Nothing has changed, as after each of these.
    """
    check_identifier(schema, "schema")
    flat, plan = analysis.flat, result.plan
    names = [table.name for table in plan.tables] + ([exceptions_name(plan)] if result.exceptions else [])
    with translated("warehouse"), connect(url, component="normalize") as connection, connection.transaction():
        connection.execute(
            "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'"
        )
        if replace:
            _drop_earlier(connection, schema)
        _refuse_taken(connection, schema, [*names, ddl.flat_view(plan)])
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        for statement in ddl.statements(flat, result, schema):
            connection.execute(statement.encode())
        with tempfile.TemporaryDirectory(prefix="dteg-") as folder:
            for name in names:
                _copy_in(flat, connection, schema, name, Path(folder))
            for statement in [*ddl.constraints(plan, schema), ddl.view(flat, result, schema)]:
                connection.execute(statement.encode())
            _mark(connection, schema, [*names, ddl.flat_view(plan)])
            _prove(flat, connection, f"{quoted(schema)}.{quoted(ddl.flat_view(plan))}", Path(folder))


def _refuse_taken(connection: psycopg.Connection[Any], schema: str, names: list[str]) -> None:
    taken = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relname = ANY(%s)"
        " ORDER BY 1",
        [schema, names],
    ).fetchall()
    if taken:
        raise ConflictError(
            f"there is {schema}.{taken[0][0]} already; choose another schema, or, if an earlier run made it, add --replace"
        )


def _mark(connection: psycopg.Connection[Any], schema: str, names: list[str]) -> None:
    """Write into the comment of each table that it came from here, so that the next run may exchange it."""
    for name in names:
        kind = "VIEW" if name == names[-1] else "TABLE"
        where = sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(name))
        connection.execute(sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(kind), where, _MARK))


def _drop_earlier(connection: psycopg.Connection[Any], schema: str) -> None:
    """Drop what has the mark; what else uses it makes this fail, and nothing is changed."""
    found = connection.execute(
        "SELECT relname, relkind = 'v' FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = %s AND relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') = %s ORDER BY relkind = 'r'",
        [schema, _MARK],
    ).fetchall()
    for is_view in (True, False):
        names = [
            sql.SQL("{}.{}").format(sql.Identifier(schema), sql.Identifier(name))
            for name, view in found
            if view is is_view
        ]
        if names:
            kind = sql.SQL("VIEW" if is_view else "TABLE")
            connection.execute(sql.SQL("DROP {} {}").format(kind, sql.SQL(", ").join(names)))


def _copy_in(flat: Flat, connection: psycopg.Connection[Any], schema: str, name: str, folder: Path) -> None:
    path = folder / "rows.csv"
    # Every value is quoted and a null is not, so that an empty text stays one.
    flat.connection.execute(f"COPY {here(name)} TO '{path}' (FORMAT csv, HEADER false, FORCE_QUOTE *)")
    statement = f"COPY {quoted(schema)}.{quoted(name)} FROM STDIN (FORMAT csv)"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy, path.open("rb") as file:
        while part := file.read(_CHUNK):
            copy.write(part)
    path.unlink()


def _prove(flat: Flat, connection: psycopg.Connection[Any], view: str, folder: Path) -> None:
    """Compare all rows of the view in the warehouse with those of the file."""
    path = folder / "back.csv"
    statement = f"COPY (SELECT {listed(flat.columns)} FROM {view}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)"  # noqa: S608 - quoted
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy, path.open("wb") as file:
        file.writelines(copy)
    types = ", ".join(f"{literal(name)}: {literal(flat.types[name])}" for name in flat.columns)
    flat.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {_BACK} AS SELECT * FROM read_csv('{path}', header = false, auto_detect = false, "  # noqa: S608 - quoted
        f"delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, columns = {{{types}}}, "
        "max_line_size = 100000000)"
    )
    picked = listed(flat.columns)
    (differing,) = flat.one(
        f"SELECT (SELECT count(*) FROM (SELECT {picked} FROM {TABLE} EXCEPT ALL SELECT {picked} FROM {_BACK}))"  # noqa: S608 - quoted
        f" + (SELECT count(*) FROM (SELECT {picked} FROM {_BACK} EXCEPT ALL SELECT {picked} FROM {TABLE}))"
    )
    if differing:
        raise QualityGateError(
            f"{differing:,} rows came back from the warehouse differently; nothing was loaded"
        )

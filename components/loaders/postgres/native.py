"""Whether the bytes of another server's COPY can go into a table as they are."""

from typing import TYPE_CHECKING

from psycopg import sql

from dteg.connectors import NativeFormat, NativeSource
from dteg.core.columns import AnySchema, Column, sql_type
from dteg.core.errors import ConfigError
from dteg.core.sql_types import canonical, parse_sql_type

if TYPE_CHECKING:
    import pyarrow as pa

COPY_OPTIONS = "FORMAT csv, NULL ''"

# Types whose binary form is the same on every server of one major version. Enums, domains, composites and
# the types of extensions hold numbers that each database gives out by itself, so they travel as text.
_BINARY = frozenset(
    [
        "bigint",
        "bit",
        "boolean",
        "box",
        "bytea",
        "char",
        "cidr",
        "circle",
        "date",
        "inet",
        "integer",
        "interval",
        "json",
        "jsonb",
        "line",
        "lseg",
        "macaddr",
        "macaddr8",
        "money",
        "numeric",
        "path",
        "pg_lsn",
        "point",
        "polygon",
        "real",
        "smallint",
        "text",
        "time",
        "timestamp",
        "timestamptz",
        "timetz",
        "tsquery",
        "tsvector",
        "uuid",
        "varchar",
        "xml",
    ]
) | {"double precision", "bit varying"}


def accepted_format(source: NativeSource, target: AnySchema, version: int) -> NativeFormat | str:
    """Return the best format of `source` that a table takes without a change to any value, or why there is none.

    Args:
        source: What is offered.
        target: The columns of the table that are loaded, with their SQL types.
        version: Major version of the target's server.
    """
    for column in source.schema:
        if column.name not in target.names:
            return f"column {column.name} is not loaded"
        arriving, there = canonical(sql_type(column)), canonical(sql_type(target.field(column.name)))
        if arriving != there:
            return f"column {column.name} changes from {arriving} to {there}"
    for format_ in source.formats:
        if format_.engine != "postgresql":
            continue
        if format_.wire == "csv" or (format_.version == version and all(map(_is_binary_safe, source.schema))):
            return format_
    return "the source offers no format of PostgreSQL"


def copy_options(format_: NativeFormat) -> sql.Composable:
    """Return what stands in the brackets of a COPY that reads this format."""
    if format_.wire == "binary":
        return sql.SQL("FORMAT binary")
    if not format_.options:
        return sql.SQL(COPY_OPTIONS)
    options = [sql.SQL(f"{name} {{}}").format(sql.Literal(value)) for name, value in format_.options]
    return sql.SQL(", ").join([sql.SQL("FORMAT csv"), *options])


def _is_binary_safe(column: "Column | pa.Field") -> bool:
    try:
        return parse_sql_type(sql_type(column)).name in _BINARY
    except ConfigError:  # a type of one database, such as an enum
        return False

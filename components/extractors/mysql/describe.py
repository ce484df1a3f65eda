"""The columns and the key of a table or query, as the server names them."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean

from .types import Column, TimeType, TinyInt, column_of, quote
from .wire import fields_of

if TYPE_CHECKING:
    import pymysql

Table = tuple[str, str]


def describe(
    connection: "pymysql.Connection[Any]",
    relation: str,
    table: Table | None,
    names: list[str],
    stream: str,
    *,
    tinyint1: TinyInt,
    time_as: TimeType,
) -> list[Column]:
    """Return the columns of a relation.

    Args:
        connection: To the source.
        relation: What to read, as SQL after FROM.
        table: Database and name, if it is a table.
        names: Columns to read; all if empty.
        stream: Name of the stream, for errors.
        tinyint1: What `tinyint(1)` becomes.
        time_as: What `time` becomes.

    Raises:
        ConfigError: Two columns of one name, a name that does not exist, or a type that cannot be kept.
    """
    fields = fields_of(connection, f"SELECT * FROM {relation} LIMIT 0")  # noqa: S608 - quoted, or the author's own query
    known = {each.name: each for each in fields}
    for name in names:
        if name not in known:
            near = did_you_mean(name, known) or f"there are: {', '.join(known)}"
            raise ConfigError(f"stream {stream!r} has no column {name!r}; {near}")
    wanted = [known[name] for name in names] or list(fields)
    found = [each.name for each in wanted]
    if repeated := [name for name in found if found.count(name) > 1]:
        raise ConfigError(f"stream {stream!r} has two columns {repeated[0]!r}; give one another name")
    types = _catalogue(connection, table) if table else {}
    return [
        column_of(each, types.get(each.name, ""), tinyint1=tinyint1, time_as=time_as, stream=stream)
        for each in wanted
    ]


def schema_of(columns: list[Column]) -> pa.Schema:
    """Return the Arrow schema of a stream."""
    return pa.schema([column.field() for column in columns])


def _catalogue(connection: "pymysql.Connection[Any]", table: Table) -> dict[str, str]:
    """Return the types' names by column; MariaDB's `json` is a text with a check, and is found by it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            table,
        )
        types = {str(name): str(type_).lower() for name, type_ in cursor.fetchall()}
        if "mariadb" in str(connection.get_server_info()).lower():
            cursor.execute(
                "SELECT check_clause FROM information_schema.check_constraints"
                " WHERE constraint_schema = %s AND table_name = %s",
                table,
            )
            clauses = {str(clause) for (clause,) in cursor.fetchall()}
            types |= {name: "json" for name in types if f"json_valid({quote(name)})" in clauses}
    return types


def primary_key(connection: "pymysql.Connection[Any]", table: Table) -> tuple[str, ...]:
    """Return the primary key of a table, in key order; empty for a view or a table without one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.statistics"
            " WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY' ORDER BY seq_in_index",
            table,
        )
        return tuple(str(name) for (name,) in cursor.fetchall())

"""Types of DuckDB as types of PostgreSQL."""

import re

from dteg.core.errors import InputError

_TYPES = {
    "BIGINT": "bigint", "INTEGER": "integer", "SMALLINT": "smallint", "TINYINT": "smallint", "UTINYINT": "smallint",
    "USMALLINT": "integer", "UINTEGER": "bigint", "UBIGINT": "numeric(20)", "HUGEINT": "numeric(39)", "DOUBLE": "double precision",
    "FLOAT": "real", "VARCHAR": "text", "BOOLEAN": "boolean", "DATE": "date", "TIME": "time", "TIMESTAMP": "timestamp",
    "TIMESTAMP_S": "timestamp", "TIMESTAMP_MS": "timestamp", "TIMESTAMP_NS": "timestamp", "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "INTERVAL": "interval", "UUID": "uuid", "JSON": "jsonb",
}  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def postgres_type(type_: str, column: str = "") -> str:
    """Return the type of a column in PostgreSQL.

    Raises:
        InputError: There is none that keeps its values.
    """
    if match := _DECIMAL.fullmatch(type_):
        return f"numeric({match[1]},{match[2]})"
    try:
        return _TYPES[type_]
    except KeyError:
        raise InputError(
            f"the column {column} is {type_}, which no column of a table can hold as it is"
        ) from None

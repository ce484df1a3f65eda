"""The names of SQL types: taken apart, and in their usual form."""

import re
from typing import NamedTuple

from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean

MAX_NUMERIC_DIGITS = 76  # of Arrow's decimal256

AS_TEXT = [
    "bit", "bit varying", "box", "char", "cidr", "circle", "citext", "geography", "geometry", "hstore", "inet", "interval", "json", "jsonb",
    "line", "lseg", "macaddr", "macaddr8", "money", "name", "numeric", "path", "pg_lsn", "point", "polygon",
    "timetz", "tsquery", "tsvector", "uuid", "xml",
]  # fmt: skip
"""Types that Arrow has no match for: they travel as text."""
NAMES = frozenset(
    {
        "smallint", "integer", "bigint", "real", "double precision", "boolean", "text", "varchar", "bytea", "date",
        "time", "timestamp", "timestamptz", *AS_TEXT,
    }
)  # fmt: skip

_ALIASES = {
    "int2": "smallint", "smallserial": "smallint", "int": "integer", "int4": "integer", "serial": "integer",
    "int8": "bigint", "bigserial": "bigint", "long": "bigint", "decimal": "numeric", "number": "numeric",
    "float4": "real", "float8": "double precision", "double": "double precision", "float": "double precision",
    "bool": "boolean", "string": "text", "character varying": "varchar", "character": "char", "bpchar": "char",
    "binary": "bytea", "blob": "bytea", "varbit": "bit varying", "datetime": "timestamp",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
    "time without time zone": "time", "time with time zone": "timetz",
}  # fmt: skip

_SHAPE = re.compile(
    r"^(?P<head>[a-z_0-9 ]+?)\s*(?:\(\s*(?P<args>[^)]*)\)\s*(?P<tail>[a-z ]*?))?\s*(?P<array>(?:\[\d*\])*)$"
)


class SqlType(NamedTuple):
    """A SQL type taken apart: `numeric(15,2)` is `("numeric", (15, 2), "")`."""

    name: str
    arguments: tuple[int, ...] = ()
    array: str = ""

    def __str__(self) -> str:
        """Render in the shortest usual form."""
        inner = f"({','.join(map(str, self.arguments))})" if self.arguments else ""
        return f"{self.name}{inner}{self.array}"


def parse_sql_type(text: str) -> SqlType:
    """Take a SQL type apart and replace aliases by the usual name.

    Raises:
        ConfigError: No type of that name is known; with the near miss.
    """
    match = _SHAPE.match(" ".join(text.lower().split()))
    name = f"{match['head']} {match['tail'] or ''}".strip() if match else text
    name = _ALIASES.get(name, name)
    if match is None or name not in NAMES:
        known = {*NAMES, *_ALIASES}
        raise ConfigError(
            f"unknown type {text!r}; {did_you_mean(name, known) or 'use a type of PostgreSQL'}".strip()
        )
    parts = [part.strip() for part in (match["args"] or "").split(",") if part.strip()]
    if not all(re.fullmatch(r"-?\d{1,6}", part) for part in parts):
        raise ConfigError(f"type {text!r}: what stands in the brackets must be numbers")
    arguments = tuple(int(part) for part in parts)
    if match["head"] == "float" and arguments:
        return SqlType("real" if arguments[0] <= 24 else "double precision", (), match["array"])
    return SqlType(name, arguments, match["array"])


def canonical(sql_type: str) -> str:
    """Return the usual name of a SQL type, so that `int8` and `bigint` compare equal; unknown ones as they are."""
    try:
        name, arguments, array = parse_sql_type(sql_type)
    except ConfigError:
        return sql_type.strip()
    if name == "numeric" and len(arguments) == 1:
        arguments = (*arguments, 0)
    return str(SqlType(name, arguments, array))


def is_arrow_decimal(type_: SqlType) -> bool:
    """Whether a `numeric` has a precision and scale that Arrow's decimals have too; else it travels as text."""
    if type_.name != "numeric" or not type_.arguments or type_.array:
        return False
    precision, scale = (*type_.arguments, 0)[:2]
    return 1 <= precision <= MAX_NUMERIC_DIGITS and 0 <= scale <= precision

"""What the types of MySQL and MariaDB become.

Found out by reading each of them through mysql_fdw 2.8: a `bit(8)` cannot be read as one, a zero date not as a date.
Whatever compares otherwise there than here (texts without case, `uuid` in another order) is `exact`.
"""

from dataclasses import dataclass

_INTEGERS = {
    "tinyint": ("smallint", "smallint"),
    "smallint": ("smallint", "integer"),
    "mediumint": ("integer", "integer"),
    "int": ("integer", "bigint"),
    "integer": ("integer", "bigint"),
    "bigint": ("bigint", "numeric(20,0)"),
}
"""Signed and unsigned."""
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_GEOMETRIES = frozenset(
    {
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        "geometrycollection", "geomcollection",
    }
)  # fmt: skip
# Measured with mysql_fdw 2.8: at a longer value it ends the table without a word, so that rows are missing. A column of
# the type text itself is read whole, whatever its length; through a domain, up to this.
_MAX_TEXT_BYTES = 65_535
# 8,000 bytes come through, 16,000 do not.
_MAX_BINARY_BYTES = 8_000
_LONG_TEXTS = frozenset({"mediumtext", "longtext", "json"})
_LONG_BYTES = frozenset({"blob", "mediumblob", "longblob"}) | _GEOMETRIES
# Characters that take no more bytes in UTF-8 than in the column.
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii", None})
_UTF8_BYTES = 4
DATES = frozenset({"date", "datetime", "timestamp"})


@dataclass(frozen=True, slots=True)
class MappedType:
    """What a type becomes.

    Attributes:
        type: Type in the warehouse, as `format_type` spells it; empty if it cannot be read.
        exact: Whether conditions over it stay in the warehouse.
        problem: Why it cannot be read, or not as what it is.
    """

    type: str
    exact: bool = False
    problem: str = ""


def mapped_type(
    data_type: str, column_type: str, precision: int | None, scale: int | None, fraction: int | None
) -> MappedType:
    """Return what a column becomes.

    Args:
        data_type: Such as `bigint`.
        column_type: Such as `bigint(20) unsigned`.
        precision: Digits of a decimal.
        scale: Digits of a decimal behind the point.
        fraction: Digits of a time behind the second.
    """
    if data_type in _INTEGERS:
        return MappedType(_INTEGERS[data_type]["unsigned" in column_type])
    if data_type in ("decimal", "numeric"):
        return MappedType(f"numeric({precision or 10},{scale or 0})")
    if data_type in _TEXTS:
        return MappedType("text", exact=True)
    if data_type in _BYTES:
        return MappedType("bytea")
    if data_type in _GEOMETRIES:
        return MappedType("bytea", problem="geometries come as bytes: 4 of the reference system, then WKB")
    return _others(data_type, fraction or 0)


def _others(data_type: str, fraction: int) -> MappedType:
    digits = f"({fraction})" if fraction else "(0)"
    known = {
        "float": MappedType("real"),
        "double": MappedType("double precision"),
        # `v = 24` would mean 2024 there.
        "year": MappedType("smallint", exact=True),
        "date": MappedType("date"),
        # Moments in UTC: the session there is set to it.
        "datetime": MappedType(f"timestamp{digits} without time zone"),
        "timestamp": MappedType(f"timestamp{digits} without time zone"),
        # -838:59:59 to 838:59:59: a duration rather than a time of day.
        "time": MappedType("interval", exact=True),
        "bit": MappedType("bytea", exact=True, problem="bits come as bytes, the highest first"),
        "json": MappedType("jsonb", exact=True),
        "uuid": MappedType("uuid", exact=True),
        "inet4": MappedType("inet", exact=True),
        "inet6": MappedType("inet", exact=True),
    }
    return known.get(data_type, MappedType("", problem=f"the type {data_type} cannot be read"))


def longest_value(data_type: str, length: int | None, charset: str | None) -> int:
    """Return up to how many bytes a value is read; 0 if no value of the column can be longer.

    Args:
        data_type: Such as `varbinary`.
        length: Characters of a text at the most, bytes of a binary value.
        charset: Of a text: in another one than UTF-8 it takes fewer bytes than it does on its way to us.
    """
    if data_type in _LONG_BYTES or (data_type in _BYTES and (length or 0) > _MAX_BINARY_BYTES):
        return _MAX_BINARY_BYTES
    grows = data_type in _TEXTS and charset not in _UTF8 and (length or 0) * _UTF8_BYTES > _MAX_TEXT_BYTES
    return _MAX_TEXT_BYTES if data_type in _LONG_TEXTS or grows else 0


def is_text(data_type: str) -> bool:
    """Whether a type can be declared as text itself, which is read whole."""
    return data_type in _TEXTS or data_type == "json"

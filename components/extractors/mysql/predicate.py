"""The condition that reads on from a saved cursor, with the value as a literal that can be nothing else."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from dteg.connectors.base import Checkpoint
from dteg.core.errors import ConfigError

from .types import Column, quote

_NUMBERS = ("smallint", "integer", "bigint", "numeric", "boolean")
_FLOATS = ("real", "double precision")


def since_predicate(column: Column, since: Checkpoint) -> str:
    """Return `column >= value` as SQL.

    The server has no bound values in its text protocol, so each value is written anew from what it
    was read as: a number, a moment, or the bytes of a text in hexadecimal digits.

    Raises:
        ConfigError: The saved value does not fit the column.
    """
    name, value = quote(column.name), since.cursor
    kind = column.sql_type.partition("(")[0]
    try:
        if kind in _NUMBERS:
            return f"{name} >= {Decimal(str(value)):f}"
        if kind in _FLOATS:
            return f"{column.expression} >= {float(str(value)):.17e}"
        if kind == "date":
            return f"{name} >= '{date.fromisoformat(str(value)[:10]).isoformat()}'"
        if kind in ("timestamp", "timestamptz"):
            return f"{name} >= '{_moment(str(value))}'"
    except (ValueError, InvalidOperation):
        raise ConfigError(
            f"the saved position {value!r} does not fit column {column.name!r}, which is {column.source_type} now; "
            "load all again with --full-refresh"
        ) from None
    # Byte by byte, as the greatest value was found; the column's collation may take A for a.
    return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY) >= X'{str(value).encode().hex()}'"


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(sep=" ")

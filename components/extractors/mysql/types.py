"""The types of MySQL: which SQL type and Arrow type stands for each, and how a column is asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dteg.core.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from .wire import Field

_BINARY = 63  # the character set of bytes
_UNSIGNED, _ENUM, _SET = 32, 256, 2048

_DECIMALS = frozenset({0, 246})
_INTEGERS = {1: "smallint", 2: "smallint", 9: "integer", 3: "integer", 8: "bigint", 13: "smallint"}
_UNSIGNED_INTEGERS = {
    1: "smallint",
    2: "integer",
    9: "integer",
    3: "bigint",
    8: "numeric(20,0)",
    13: "smallint",
}
_FLOAT, _DOUBLE, _NOTHING, _TIMESTAMP, _TIME, _BIT, _JSON = 4, 5, 6, 7, 11, 16, 245
_DATES, _DATETIMES = frozenset({10, 14}), frozenset({12, 18})
_TEXTS = frozenset({15, 247, 248, 249, 250, 251, 252, 253, 254})
_REFUSED = {255: "geometry", 242: "vector"}
# Types that the server sends as text and names only in its catalogue.
_BY_CATALOGUE = {"json": "json", "uuid": "uuid", "inet4": "inet", "inet6": "inet"}

TinyInt = Literal["integer", "boolean"]
TimeType = Literal["interval", "time"]
ZeroDates = Literal["error", "null"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source.

    Attributes:
        name: Its name.
        sql_type: The SQL type that it arrives as.
        source_type: What MySQL calls it, for messages.
        expression: How it is asked for, as SQL.
    """

    name: str
    sql_type: str
    source_type: str
    expression: str

    def field(self) -> "pa.Field":
        """Return the column of the stream's schema."""
        from dteg.core.batch import field
        from dteg.core.types import arrow_type

        return field(self.name, arrow_type(self.sql_type), sql_type=self.sql_type)

    @property
    def has_dates(self) -> bool:
        """Whether the server may send a zero date."""
        return self.sql_type in ("date", "timestamp", "timestamptz")


def quote(name: str) -> str:
    """Quote one identifier for SQL, whatever it holds.

    Raises:
        ConfigError: It is empty, or has a NUL character.
    """
    if not name or "\0" in name:
        raise ConfigError(f"{name!r} cannot be the name of a table or column")
    return "`" + name.replace("`", "``") + "`"


def column_of(
    field_: "Field", catalogue: str, *, tinyint1: TinyInt, time_as: TimeType, stream: str
) -> Column:
    """Return the column for what the server says about it.

    Args:
        field_: From the header of a result.
        catalogue: The type's name in the catalogue, if the column is one of a table.
        tinyint1: What `tinyint(1)` becomes.
        time_as: What `time` becomes.
        stream: Name of the stream, for errors.

    Raises:
        ConfigError: A type that cannot be kept.
    """
    name = quote(field_.name)
    type_ = _BY_CATALOGUE.get(catalogue) or _sql_type(field_, tinyint1, time_as)
    if type_ is None:
        shown = catalogue or _REFUSED.get(field_.type_code, f"number {field_.type_code}")
        hint = (
            f"ST_AsText({name}) AS {name}" if field_.type_code == 255 else f"CAST({name} AS CHAR) AS {name}"
        )
        raise ConfigError(
            f"stream {stream!r}: column {field_.name!r} of type {shown} cannot be read; leave it out with `columns`, "
            f"or read {hint} with `query`"
        )
    return Column(field_.name, type_, catalogue or type_, _expression(field_, name))


def _sql_type(field_: "Field", tinyint1: TinyInt, time_as: TimeType) -> str | None:
    code, unsigned = field_.type_code, bool(field_.flags & _UNSIGNED)
    if code == 1 and field_.length == 1 and tinyint1 == "boolean":
        return "boolean"
    if code in _INTEGERS:
        return (_UNSIGNED_INTEGERS if unsigned else _INTEGERS)[code]
    if code in _DECIMALS:
        # The length counts the sign and the point too.
        return f"numeric({field_.length - (field_.scale > 0) - (not unsigned)},{field_.scale})"
    if code in _DATETIMES:
        return "timestamp"
    if code in _DATES:
        return "date"
    if code in _TEXTS:
        is_text = field_.charsetnr != _BINARY or field_.flags & (_ENUM | _SET)
        return "text" if is_text else "bytea"
    return {
        _FLOAT: "real", _DOUBLE: "double precision", _NOTHING: "text", _TIMESTAMP: "timestamptz", _TIME: time_as,
        _BIT: f"bit({field_.length})", _JSON: "json",
    }.get(code)  # fmt: skip


def _expression(field_: "Field", name: str) -> str:
    if field_.type_code == _FLOAT:
        # As itself it would be sent with six digits; as a double it is sent with all it has.
        return f"{name} + 0e0"
    if field_.type_code == _BIT:
        return f"LPAD(BIN({name}), {field_.length}, '0')"
    return name

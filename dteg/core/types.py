"""SQL types and Arrow types: which one stands for which, and safe casts between them.

A SQL type that Arrow has no match for (`jsonb`, `uuid`, `interval`, arrays, `numeric` without
precision) travels as text, with its SQL type kept in the field; see `dteg.core.batch`. What needs
no Arrow is in `dteg.core.sql_types` and `dteg.core.columns`.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from dteg.core import converters as steps
from dteg.core.batch import SQL_TYPE_KEY, Schema, field, sql_type_of
from dteg.core.columns import AnySchema, Columns, sql_type
from dteg.core.errors import ConfigError
from dteg.core.sql_types import AS_TEXT, canonical, is_arrow_decimal, parse_sql_type

__all__ = [
    "arrow_schema",
    "arrow_type",
    "canonical",
    "cast_array",
    "cast_exactly",
    "check_castable",
    "parse_sql_type",
    "sql_field",
    "sql_type",
    "sql_type_of_arrow",
    "with_sql_types",
]

_ARROW: dict[str, pa.DataType] = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_ARROW |= dict.fromkeys(AS_TEXT, pa.string())


def arrow_type(sql_type: str, *, unknown: pa.DataType | None = None) -> pa.DataType:
    """Return the Arrow type that carries a SQL type.

    Args:
        sql_type: Such as `bigint`, `numeric(15,2)` or `timestamp with time zone`.
        unknown: Returned for a name that is no type here, such as an enum of one database.

    Raises:
        ConfigError: Unknown name and no `unknown`; with the near miss.
    """
    try:
        type_ = parse_sql_type(sql_type)
    except ConfigError:
        if unknown is None:
            raise
        return unknown
    if type_.array:
        return pa.string()
    if is_arrow_decimal(type_):
        precision, scale = (*type_.arguments, 0)[:2]
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return _ARROW[type_.name]


def sql_field(name: str, sql_type: str, *, nullable: bool = True) -> pa.Field:
    """Make a field of a SQL type, which it remembers.

    Raises:
        ConfigError: Unknown type; with the near miss.
    """
    return field(name, arrow_type(sql_type), sql_type=canonical(sql_type), nullable=nullable)


_BY_ARROW_ID = {
    pa.int8().id: "smallint", pa.int16().id: "smallint", pa.int32().id: "integer", pa.int64().id: "bigint",
    pa.uint8().id: "smallint", pa.uint16().id: "integer", pa.uint32().id: "bigint", pa.uint64().id: "numeric(20,0)",
    pa.float16().id: "real", pa.float32().id: "real", pa.float64().id: "double precision", pa.bool_().id: "boolean",
    pa.binary().id: "bytea", pa.large_binary().id: "bytea", pa.binary_view().id: "bytea",
    pa.binary(1).id: "bytea", pa.date32().id: "date", pa.date64().id: "date", pa.time32("s").id: "time",
    pa.time64("us").id: "time", pa.duration("s").id: "interval",
}  # fmt: skip


def arrow_schema(columns: AnySchema) -> Schema:
    """Return columns as an Arrow schema; a type Arrow has no match for, such as an enum, travels as text."""
    if not isinstance(columns, Columns):
        return columns
    return pa.schema(
        [
            field(each.name, arrow_type(each.sql_type, unknown=pa.string()), sql_type=each.sql_type)
            for each in columns
        ]
    )


def with_sql_types(schema: Schema, types: Mapping[str, str]) -> Schema:
    """Return the named columns of an Arrow schema, each with a new SQL type (see `canonical`)."""
    return pa.schema([_with_sql_type(schema.field(name), type_) for name, type_ in types.items()])


def _with_sql_type(column: pa.Field, type_name: str) -> pa.Field:
    metadata = {**(column.metadata or {}), SQL_TYPE_KEY: type_name.encode()}
    same = canonical(sql_type(column)) == type_name
    # A type of this one database, such as an enum, travels as text; the database checks it.
    type_ = column.type if same else arrow_type(type_name, unknown=pa.string())
    return pa.field(column.name, type_, metadata=metadata)


def sql_type_of_arrow(type_: pa.DataType) -> str:
    """Return the SQL type that stands for an Arrow type."""
    if pa.types.is_dictionary(type_):
        return sql_type_of_arrow(type_.value_type)
    if pa.types.is_decimal(type_):
        return f"numeric({type_.precision},{type_.scale})"
    if pa.types.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    if pa.types.is_nested(type_):
        return "jsonb"
    return _BY_ARROW_ID.get(type_.id, "text")


def cast_array(array: pa.Array, target: pa.Field) -> tuple[pa.Array, pa.BooleanArray]:
    """Cast what can be cast without changing its meaning.

    Texts are trimmed and read as PostgreSQL reads them (`+5`, `yes`, `2026-01-01 10:00+09`); a
    text without zone is taken as UTC for `timestamptz`. Numerics are rounded to their scale,
    times to microseconds; a number that does not fit an integer, or has a fraction, is bad.

    Args:
        array: The values.
        target: The field they shall have; its SQL type decides (`uuid`, `jsonb` and `varchar(n)` are checked).

    Returns:
        The values, null where they could not be cast, and a mask that is true there. Nulls stay null and are not bad.

    Raises:
        ConfigError: No value of this type can be cast to the target.
    """
    array = _plain(array)
    convert = _converter(array.type, target)
    result = _convert_or_null(array, convert, target.type)
    return result, pc.and_(pc.is_valid(array), pc.is_null(result))


def cast_exactly(array: pa.Array, target: pa.Field) -> tuple[pa.Array, pa.BooleanArray]:
    """Cast like `cast_array`, but a number that would lose digits, or a timestamp its time of day, is bad too."""
    array = _plain(array)
    result, bad = cast_array(array, target)
    is_number = _is_number(array.type) and _is_number(result.type)
    if is_number or (pa.types.is_timestamp(array.type) and pa.types.is_date(result.type)):
        changed = pc.not_equal(result.cast(array.type, safe=False), array)
        if pa.types.is_floating(array.type):
            changed = pc.and_(changed, pc.invert(pc.is_nan(array)))
        changed = changed.fill_null(False)
        return pc.if_else(changed, pa.scalar(None, result.type), result), pc.or_(bad, changed)
    return result, bad


def check_castable(type_: pa.DataType, target: pa.Field) -> None:
    """Raise ConfigError if no value of `type_` can be cast to `target`."""
    cast_array(pa.nulls(0, type_), target)


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array


def _convert_or_null(array: pa.Array, convert: steps.Convert, type_: pa.DataType) -> pa.Array:
    """Convert, halving the array around each value that Arrow refuses."""
    try:
        return convert(array)
    except pa.ArrowInvalid:
        if len(array) == 1:
            return pa.nulls(1, type_)
    middle = len(array) // 2
    halves = (array.slice(0, middle), array.slice(middle))
    return pa.concat_arrays([_convert_or_null(half, convert, type_) for half in halves])


def _converter(source: pa.DataType, target: pa.Field) -> steps.Convert:
    """Choose how to convert; a value that does not fit becomes null or raises ArrowInvalid."""
    types = pa.types
    to = target.type
    if types.is_string(to):
        return _to_text(source, target)
    if types.is_null(source):
        return lambda array: array.cast(to)
    if types.is_string(source):
        return steps.from_text(to)
    if types.is_boolean(source) and (types.is_integer(to) or types.is_floating(to) or types.is_decimal(to)):
        return lambda array: array.cast(pa.int8()).cast(pa.decimal128(3)).cast(to)
    if types.is_boolean(to) and types.is_integer(source):
        return lambda array: steps.only(array, pc.is_in(array, pa.array([0, 1], source))).cast(to)
    if _is_number(source) and _is_number(to):
        return steps.between_numbers(source, to)
    if types.is_temporal(source) and types.is_temporal(to):
        _refuse_unless_castable(source, target)
        return lambda array: pc.cast(array, options=pc.CastOptions(to, allow_time_truncate=True))
    if source == to or (types.is_binary(to) and source.id in (pa.large_binary().id, pa.binary(1).id)):
        return lambda array: array.cast(to)
    raise _cannot(source, target)


def _cannot(source: pa.DataType, target: pa.Field) -> ConfigError:
    hint = "; timestamp_converter reads seconds and milliseconds" if _is_number(source) else ""
    return ConfigError(f"column {target.name!r}: {source} cannot be cast to {sql_type(target)}{hint}")


def _refuse_unless_castable(source: pa.DataType, target: pa.Field) -> None:
    try:
        pa.nulls(0, source).cast(target.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise _cannot(source, target) from None


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _to_text(source: pa.DataType, target: pa.Field) -> steps.Convert:
    """Render as text and check what the SQL type demands of it; types unknown here are left to the database."""
    if pa.types.is_nested(source):
        return steps.as_json
    _refuse_unless_castable(source, target)
    try:
        name, arguments, array = parse_sql_type(sql_type_of(target) or "text")
    except ConfigError:
        return steps.as_text
    if array:
        return steps.as_text
    if name in ("json", "jsonb"):
        return lambda values: steps.valid_json(steps.as_text(values))
    if name == "uuid":
        return lambda values: steps.matching(pc.utf8_lower(steps.trim(steps.as_text(values))), steps.UUID)
    if name == "numeric":
        return lambda values: steps.matching(steps.trim(steps.as_text(values)), f"{steps.NUMBER}|^(?i:nan)$")
    if name in ("varchar", "char") and arguments:
        return lambda values: steps.at_most(steps.as_text(values), arguments[0])
    return steps.as_text

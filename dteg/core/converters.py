"""The single steps of casts, each over a whole Arrow array.

A step turns what it cannot convert into null, or lets Arrow raise `ArrowInvalid`;
`dteg.core.types.cast_array` puts the steps together and finds the rows.
"""

from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from dteg.core.errors import ConfigError

UUID = r"^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"
_INTEGER = r"^[+-]?\d{1,19}$"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$"
_FLOAT_WORD = r"^[+-]?(?i:nan|inf|infinity)$"
_ZONE = r"(?i:z|[+-]\d{2}(:?\d{2})?)"
# As narrow as the calendar, because each value that Arrow itself must refuse costs time.
_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_TRUE = pa.array(["true", "t", "yes", "y", "on", "1"])
_FALSE = pa.array(["false", "f", "no", "n", "off", "0"])

Convert = Callable[[pa.Array], pa.Array]


def only(array: pa.Array, keep: pa.Array) -> pa.Array:
    """Replace what is not kept by null."""
    return pc.if_else(keep, array, pa.scalar(None, array.type))


def matching(array: pa.Array, pattern: str) -> pa.Array:
    """Replace texts that do not match by null."""
    return only(array, pc.match_substring_regex(array, pattern))


def between_numbers(source: pa.DataType, to: pa.DataType) -> Convert:
    """Return the step from one kind of number to another."""
    types = pa.types
    if types.is_integer(to):
        return lambda array: _within(array, to).cast(to)
    if types.is_decimal(to):
        if types.is_floating(source):
            return lambda array: _float_to_decimal(array, to)
        wide = pa.decimal128(20) if types.is_integer(source) else source
        return lambda array: _rounded(array.cast(wide), to)
    if types.is_decimal(source):
        return lambda array: array.cast(to)
    return lambda array: _same_infinity(array, pc.cast(array, to, safe=False))


def _same_infinity(array: pa.Array, result: pa.Array) -> pa.Array:
    """Drop numbers that became infinite because the target holds only smaller ones."""
    grew = pc.and_(pc.is_inf(result), pc.is_finite(array))
    return only(result, pc.invert(grew))


def _within(array: pa.Array, to: pa.DataType) -> pa.Array:
    """Drop numbers outside an integer type, and fractions, without asking Arrow value by value."""
    unsigned = pa.types.is_unsigned_integer(to)
    low = 0 if unsigned else -(2 ** (to.bit_width - 1))
    high = 2 ** (to.bit_width if unsigned else to.bit_width - 1)
    if pa.types.is_floating(array.type):
        inside = pc.and_(pc.greater_equal(array, float(low)), pc.less(array, float(high)))
        return only(array, pc.and_(inside, pc.equal(pc.trunc(array), array)))
    wide = array.cast(pa.decimal128(20)) if pa.types.is_integer(array.type) else array
    limit = pa.decimal128(20)
    inside = pc.and_(pc.greater_equal(wide, pa.scalar(low, limit)), pc.less(wide, pa.scalar(high, limit)))
    whole = pc.equal(pc.trunc(wide), wide) if pa.types.is_decimal(array.type) else True
    return only(array, pc.and_(inside, whole))


def _rounded(array: pa.Array, to: pa.DataType) -> pa.Array:
    """Round half away from zero, as PostgreSQL does, and drop what has too many digits."""
    if array.type.scale > to.scale:
        array = pc.round(array, to.scale, "half_towards_infinity")
    digits = to.precision - to.scale
    if digits < array.type.precision - array.type.scale:
        array = only(array, pc.less(pc.abs(array), pa.scalar(Decimal(10) ** digits, array.type)))
    return array.cast(to)


def from_text(to: pa.DataType) -> Convert:
    """Return the step that reads texts as `to`."""
    types = pa.types
    if types.is_integer(to):
        return lambda array: _within(_text_to_bigint(array), to).cast(to)
    if types.is_decimal(to):
        return lambda array: _text_to_decimal(array, to)
    if types.is_floating(to):
        return lambda array: _text_to_float(trim(array), to)
    if types.is_boolean(to):
        return _text_to_boolean
    if types.is_date(to):
        return lambda array: matching(trim(array), _DATE + "$").cast(to)
    if types.is_time(to):
        return lambda array: _text_to_time(array).cast(to)
    if types.is_timestamp(to):
        return lambda array: _text_to_timestamp(array, to)
    if types.is_binary(to):
        return lambda array: array.cast(to)
    raise ConfigError(f"text cannot be cast to {to}")


def trim(array: pa.Array) -> pa.Array:
    """Take white space off both ends."""
    return pc.utf8_trim_whitespace(array)


def _text_to_bigint(array: pa.Array) -> pa.Array:
    text = matching(trim(array), _INTEGER)
    return pc.utf8_ltrim(text, "+").cast(pa.int64())


def _text_to_decimal(array: pa.Array, to: pa.DataType) -> pa.Array:
    # 38 digits before and after the point; Arrow would refuse a text with more decimals than the target.
    text = pc.replace_substring_regex(matching(trim(array), NUMBER), r"(\.\d{38})\d+", r"\1")
    return _rounded(text.cast(pa.decimal256(76, 38)), to)


def _float_to_decimal(array: pa.Array, to: pa.DataType) -> pa.Array:
    """Round what the float looks like, as PostgreSQL does: 1.005 is stored as 1.00499999999999989."""
    tiny = pc.less(pc.abs(array), 1e-15)  # written out, these have more digits than a decimal
    return pc.coalesce(
        _text_to_decimal(as_text(only(array, pc.invert(tiny))), to), only(array, tiny).cast(to)
    )


def _text_to_float(text: pa.Array, to: pa.DataType) -> pa.Array:
    word = pc.match_substring_regex(text, _FLOAT_WORD)
    number = pc.match_substring_regex(text, NUMBER)
    result = pc.utf8_ltrim(only(text, pc.or_(word, number)), "+").cast(to)
    return only(result, pc.or_(word, pc.is_finite(result)))


def _text_to_boolean(array: pa.Array) -> pa.Array:
    word = pc.utf8_lower(trim(array))
    yes, no = pc.is_in(word, _TRUE), pc.is_in(word, _FALSE)
    return only(yes, pc.or_(yes, no))


def _text_to_time(array: pa.Array) -> pa.Array:
    text = _to_microseconds(matching(trim(array), f"^{_TIME}$"))
    return pc.binary_join_element_wise("1970-01-01", text, "T").cast(pa.timestamp("us"))


def _text_to_timestamp(array: pa.Array, to: pa.DataType) -> pa.Array:
    text = _to_microseconds(matching(trim(array), f"{_DATE}([ T]{_TIME}{_ZONE}?)?$"))
    zoned = pc.match_substring_regex(text, f":.*{_ZONE}$")
    local = only(text, pc.invert(zoned)).cast(pa.timestamp("us"))
    if to.tz is None:
        return local.cast(to)
    instant = only(text, zoned).cast(pa.timestamp("us", tz="UTC"))
    return pc.coalesce(instant, local.cast(instant.type)).cast(to)


def _to_microseconds(text: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(text, r"(\.\d{6})\d+", r"\1")


def as_text(array: pa.Array) -> pa.Array:
    """Write values as text, as Arrow does."""
    return array.cast(pa.string())


def at_most(text: pa.Array, length: int) -> pa.Array:
    """Drop texts with more than `length` characters."""
    return only(text, pc.less_equal(pc.utf8_length(text), length))


def as_json(array: pa.Array) -> pa.Array:
    """Write lists and structs as JSON."""
    import orjson

    rows = (None if row is None else orjson.dumps(row, default=str).decode() for row in array.to_pylist())
    return pa.array(rows, pa.string())


def valid_json(text: pa.Array) -> pa.Array:
    """Drop texts that are not JSON; value by value, because Arrow has no JSON check."""
    import orjson

    def valid(value: str | None) -> bool:
        try:
            orjson.loads(value or "null")
        except orjson.JSONDecodeError:
            return False
        return value != ""

    return only(text, pa.array([valid(value) for value in text.to_pylist()], pa.bool_()))

"""Casts for texts that are written plainly, whole columns at a time.

Nearly every block of a file holds only plain values. They are cast by Arrow alone, several times
faster than by `cast_array`, which looks at each text with regular expressions. Whatever is not
plain is left to `cast_array`; where both give a value, it is the same one.
"""

import pyarrow as pa
import pyarrow.compute as pc

# The shortest text with a power that a double may not hold: 1e300. One of five digits, which is no number by our rules,
# is longer.
_SHORTEST_ODD_EXPONENT = 5
_DATE_LENGTH = 10
_FIRST_COLON = 13


def plain_cast(values: pa.StringArray, type_: pa.DataType) -> pa.Array | None:
    """Return texts in a type, or None if one of them may need a closer look."""
    types = pa.types
    if not (
        types.is_integer(type_)
        or types.is_floating(type_)
        or types.is_decimal(type_)
        or types.is_boolean(type_)
        or types.is_date(type_)
        or types.is_timestamp(type_)
    ):
        return None
    try:
        result = values.cast(type_)
    except pa.ArrowInvalid:
        return None
    return result if _is_plain(values, result) else None


def _is_plain(values: pa.StringArray, result: pa.Array) -> bool:
    """Whether the texts are without what Arrow reads and our rules do not."""
    type_ = result.type
    if pa.types.is_integer(type_):
        return not any(
            starts_with(values, zero) and (starts_with(values, zero + "x") or starts_with(values, zero + "X"))
            for zero in ("0", "-0")
        )
    if pa.types.is_floating(type_) and not _all(pc.is_finite(result)):
        return False
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return longest(values) < _SHORTEST_ODD_EXPONENT or not (
            _contains(values, "e") or _contains(values, "E")
        )
    if pa.types.is_timestamp(type_):  # not 2026-01-01 10, nor 2026-01-01 10+02:00
        to_the_minute = pc.equal(pc.find_substring(values, ":"), _FIRST_COLON)
        return _all(pc.or_(to_the_minute, pc.equal(pc.binary_length(values), _DATE_LENGTH)))
    return True


def starts_with(values: pa.StringArray, text: str, *, longer_than: int = 0) -> bool:
    """Whether a text of more than `longer_than` bytes starts with `text`."""
    found = pc.starts_with(values, text)
    if not pc.any(found).as_py():
        return False
    return not longer_than or bool(
        pc.any(pc.and_(found, pc.greater(pc.binary_length(values), longer_than))).as_py()
    )


def longest(values: pa.StringArray) -> int:
    """Return the greatest length (bytes); 0 if there are only nulls."""
    return int(pc.max(pc.binary_length(values)).as_py() or 0)


def _contains(values: pa.StringArray, text: str) -> bool:
    return bool(pc.any(pc.match_substring(values, text)).as_py())


def _all(mask: pa.BooleanArray) -> bool:
    return pc.all(mask).as_py() is not False

"""Finds the type of each column from all of its values, one batch at a time.

Only what keeps every value exactly becomes a number: `007` and `+49 30` stay text; whole numbers beyond
64 bits, and fractions of more digits than a double has, become text with the SQL type `numeric`.
"""

from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from dteg.core.batch import field

from .plain import longest, plain_cast, starts_with

TIMESTAMP = pa.timestamp("us")
TIMESTAMPTZ = pa.timestamp("us", tz="UTC")
# Texts of 16 digits and more make a column of numbers with fractions a numeric one, in one batch or in two.
_LEAST_LONG = 10**15
# Above this, neighbouring whole numbers share one double.
_EXACT_IN_DOUBLE = 2**53

_INTEGER = r"^-?(0|[1-9][0-9]*)$"
_LONG_INTEGER = r"^-?[0-9]{16,}$"
# No double needs more than 17 digits, and none is much beyond these powers of ten.
_BEYOND_DOUBLE = r"^-?[0.]*[1-9](\.?[0-9]){17}|[eE][+-]?([3-9][0-9]{2}|[0-9]{4})$"
_FINITE = r"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
_NONFINITE = r"^(?i:-?inf|-?infinity|nan)$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].*)?$"
_LONG_DIGITS = 16
_DATE_LENGTH = 10
_BOOLEANS = pa.array(["true", "True", "TRUE", "false", "False", "FALSE"])


class Kind(StrEnum):
    """What all values of a column seen so far have in common."""

    NULL = "null"
    BOOLEAN = "boolean"
    BIGINT = "bigint"
    WIDE_BIGINT = "bigint that a double cannot hold"
    DOUBLE = "double"
    NONFINITE = "only nan and infinity, which may also be words"
    NUMERIC = "numeric"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    JSON = "json"
    TEXT = "text"


_DOUBLES = {Kind.BIGINT, Kind.DOUBLE, Kind.NONFINITE}
_NUMBERS = _DOUBLES | {Kind.WIDE_BIGINT, Kind.NUMERIC}

_TYPES: dict[Kind, tuple[pa.DataType, str | None]] = {
    Kind.BOOLEAN: (pa.bool_(), None),
    Kind.BIGINT: (pa.int64(), None),
    Kind.WIDE_BIGINT: (pa.int64(), None),
    Kind.DOUBLE: (pa.float64(), None),
    Kind.NUMERIC: (pa.string(), "numeric"),
    Kind.DATE: (pa.date32(), None),
    Kind.TIMESTAMP: (TIMESTAMP, None),
    Kind.TIMESTAMPTZ: (TIMESTAMPTZ, None),
    Kind.JSON: (pa.string(), "jsonb"),
}
_PLAIN = {Kind.BIGINT, Kind.WIDE_BIGINT, Kind.DOUBLE, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}
# Kinds whose values a database reads exactly as we do.
_PROVEN = _PLAIN | {Kind.BOOLEAN, Kind.TEXT, Kind.NULL, Kind.NONFINITE}


def join(left: Kind, right: Kind) -> Kind:
    """Return the narrowest kind that holds the values of both; order does not matter."""
    pair = {left, right} - {Kind.NULL}
    if len(pair) < 2:
        return pair.pop() if pair else Kind.NULL
    if pair == {Kind.BIGINT, Kind.WIDE_BIGINT}:
        return Kind.WIDE_BIGINT
    if pair <= _DOUBLES:
        return Kind.DOUBLE
    if pair <= _NUMBERS:
        return Kind.NUMERIC
    if pair == {Kind.DATE, Kind.TIMESTAMP}:
        return Kind.TIMESTAMP
    return Kind.TEXT


def kind_of_integers(low: int, high: int) -> Kind:
    """Return the kind of whole numbers between `low` and `high`."""
    if low < -(2**63) or high >= 2**63:
        return Kind.NUMERIC
    if low < -_EXACT_IN_DOUBLE or high > _EXACT_IN_DOUBLE:
        return Kind.WIDE_BIGINT
    return Kind.BIGINT


def kind_of_text(values: pa.StringArray, expected: Kind = Kind.NULL) -> Kind:
    """Return the kind of texts as they stand in a CSV file; null and empty texts say nothing.

    Args:
        values: The texts.
        expected: Kind of the texts before, which is tried first and joined with what is returned.
    """
    if pc.min(pc.binary_length(values)).as_py() == 0:
        values = values.filter(pc.not_equal(values, ""))
    if values.null_count == len(values):
        return Kind.NULL
    return _expected_kind(values, expected) or _any_kind(values)


def _expected_kind(values: pa.StringArray, expected: Kind) -> Kind | None:
    """Return the kind of texts that are plainly as expected, without regular expressions."""
    cast = plain_cast(values, _TYPES[expected][0]) if expected in _PLAIN else None
    if cast is None:
        return None
    if expected in (Kind.BIGINT, Kind.WIDE_BIGINT):
        if starts_with(values, "0", longer_than=1) or starts_with(values, "-0", longer_than=2):
            return None
        return _kind_of_integer_cast(cast)
    if expected is Kind.DOUBLE and (longest(values) >= _LONG_DIGITS or _any_match(values, r"^(\+|-?0[^.])")):
        return None
    if expected is Kind.DATE and longest(values) > _DATE_LENGTH:
        return None
    return expected


def _any_kind(values: pa.StringArray) -> Kind:
    if _all_match(values, _INTEGER):
        return _kind_of_integer_text(values)
    if _all_match(values, f"{_FINITE}|{_NONFINITE}"):
        if _any_match(values, f"{_LONG_INTEGER}|{_BEYOND_DOUBLE}"):
            return Kind.NUMERIC
        return Kind.DOUBLE if _any_match(values, _FINITE) else Kind.NONFINITE
    if pc.all(pc.is_in(values.drop_null(), value_set=_BOOLEANS)).as_py():
        return Kind.BOOLEAN
    if not _all_match(values, _TIMESTAMP):
        return Kind.TEXT
    if _all_match(values, _DATE):
        return Kind.DATE if plain_cast(values, pa.date32()) is not None else Kind.TEXT
    if plain_cast(values, TIMESTAMP) is not None:
        return Kind.TIMESTAMP
    return Kind.TIMESTAMPTZ if plain_cast(values, TIMESTAMPTZ) is not None else Kind.TEXT


def _kind_of_integer_text(values: pa.StringArray) -> Kind:
    try:
        return _kind_of_integer_cast(values.cast(pa.int64()))
    except pa.ArrowInvalid:
        return Kind.NUMERIC


def _kind_of_integer_cast(values: pa.Int64Array) -> Kind:
    bounds = pc.min_max(values).as_py()
    is_long = bounds["min"] <= -_LEAST_LONG or bounds["max"] >= _LEAST_LONG
    return Kind.WIDE_BIGINT if is_long else Kind.BIGINT


def _all_match(values: pa.StringArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _any_match(values: pa.StringArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


class Inference:
    """The kinds of all columns of a stream, in order of first appearance."""

    def __init__(self, declared: dict[str, pa.Field]) -> None:
        """Take the fields that are given and need no looking at."""
        self._declared = declared
        self._kinds: dict[str, Kind] = {}

    def add_column(self, name: str) -> None:
        """Note that a column exists."""
        self._kinds.setdefault(name, Kind.NULL)

    def add(self, name: str, kind: Kind) -> None:
        """Note that a column holds values of a kind."""
        self._kinds[name] = join(self._kinds.get(name, Kind.NULL), kind)

    def is_open(self, name: str) -> bool:
        """Return whether more values can still change the column's type."""
        return name not in self._declared and self._kinds.get(name) is not Kind.TEXT

    def kind(self, name: str) -> Kind:
        """Return the kind of a column so far."""
        return self._kinds.get(name, Kind.NULL)

    @property
    def proven_columns(self) -> set[str]:
        """Columns that are inferred, and whose values a database reads as we do."""
        return {name for name, kind in self._kinds.items() if kind in _PROVEN and name not in self._declared}

    @property
    def unknown_columns(self) -> list[str]:
        """Columns that were declared but never seen."""
        return [name for name in self._declared if name not in self._kinds]

    def schema(self) -> pa.Schema:
        """Return the schema of everything that was added; a column without values is text."""
        fields = []
        for name, kind in self._kinds.items():
            type_, sql_type = _TYPES.get(kind, (pa.string(), None))
            fields.append(self._declared.get(name) or field(name, type_, sql_type=sql_type))
        return pa.schema(fields)

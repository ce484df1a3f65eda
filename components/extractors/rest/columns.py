"""JSON records to Arrow: a schema out of the config or out of the records, and batches of that schema."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from dteg.core.batch import Batch, Schema, sql_type_of
from dteg.core.errors import ConfigError
from dteg.core.types import cast_array, sql_field

_JSON_TYPES = ("json", "jsonb")
_MAX_BIGINT = 2**63


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that does not fit.

    Attributes:
        index: 0-based place in the list of records.
        reason: Why.
    """

    index: int
    reason: str


def infer_schema(records: Iterable[dict[str, Any]]) -> Schema:
    """Return a schema that holds all of `records`, columns in the order they first appear.

    What is nested, always null, or of several kinds becomes `jsonb`, which holds any JSON.
    """
    kinds: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.items():
            found = kinds.setdefault(name, set())
            if value is not None:
                found.add(_kind(value))
    return pa.schema([sql_field(name, _common(found)) for name, found in kinds.items()])


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "bigint" if -_MAX_BIGINT <= value < _MAX_BIGINT else "numeric(20,0)"
        case float():
            return "double precision"
        case str():
            return "text"
    return "jsonb"


def _common(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds == {"bigint", "double precision"}:
        return "double precision"
    return "numeric(20,0)" if kinds == {"bigint", "numeric(20,0)"} else "jsonb"


def to_batch(records: Sequence[Any], schema: Schema, *, refuse_unknown: bool) -> tuple[Batch, list[Rejected]]:
    """Return the records that fit as a batch, and those that do not.

    Args:
        records: JSON values; only mappings can fit.
        schema: Fields with their SQL types.
        refuse_unknown: Whether a field outside the schema makes a record unfit.
    """
    reasons = _misshapen(records, set(schema.names) if refuse_unknown else None)
    places = [index for index in range(len(records)) if index not in reasons]
    shaped = [records[index] for index in places]
    arrays = []
    unfit: dict[int, list[str]] = {}
    for field in schema:
        array, bad = _convert([record.get(field.name) for record in shaped], field)
        arrays.append(array)
        if bad is not None and bad.true_count:
            for row in pc.indices_nonzero(bad).to_pylist():
                unfit.setdefault(row, []).append(f"{field.name!r} is not {sql_type_of(field)}")
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if unfit:
        batch = batch.filter(pa.array([row not in unfit for row in range(len(shaped))]))
        reasons |= {places[row]: "; ".join(texts) for row, texts in unfit.items()}
    return batch, [Rejected(index, reasons[index]) for index in sorted(reasons)]


def from_cursor(batch: Batch, column: str, cursor: str | float) -> Batch:
    """Return the rows whose cursor is `cursor` or more; not every API filters as finely as it is asked to.

    Raises:
        ConfigError: The saved cursor does not fit the column.
    """
    field = batch.schema.field(column)
    start, bad = cast_array(pa.array([str(cursor)]), field)
    if bad[0].as_py():
        raise ConfigError(f"the saved cursor {cursor!r} does not fit column {column!r}")
    return batch.filter(pc.greater_equal(batch.column(column), start[0]))


def _misshapen(records: Sequence[Any], names: set[str] | None) -> dict[int, str]:
    reasons = {}
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            reasons[index] = "not a JSON object"
        elif names is not None and not record.keys() <= names:
            unknown = ", ".join(map(repr, sorted(record.keys() - names)))
            reasons[index] = f"unknown field {unknown}; write the columns, or raise infer_records"
    return reasons


def _convert(values: list[Any], field: pa.Field) -> tuple[pa.Array, pa.BooleanArray | None]:
    """Return the values as the field's type, null where they do not fit, and a mask that is true there."""
    if sql_type_of(field) in _JSON_TYPES:
        return pa.array([None if value is None else _json(value) for value in values], pa.string()), None
    try:
        natural = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):  # of several kinds, or huge
        return _convert_by_kind(values, field)
    if pa.types.is_nested(natural.type):
        return _convert_by_kind(values, field)
    if natural.type == field.type and not pa.types.is_string(field.type):
        return natural, None
    return _cast(natural, field)


def _convert_by_kind(values: list[Any], field: pa.Field) -> tuple[pa.Array, pa.BooleanArray]:
    """Convert the values of each kind together, then put them in order again."""
    places: dict[type, list[int]] = {}
    for index, value in enumerate(values):
        places.setdefault(type(value), []).append(index)
    arrays, masks, order = [], [], []
    for kind, indexes in places.items():
        plain = [values[index] for index in indexes]
        if kind in (dict, list):
            plain = [_json(value) for value in plain]
        elif kind is int:  # as text, because Arrow takes no int beyond 64 bits
            plain = [str(value) for value in plain]
        array, bad = _cast(pa.array(plain), field)
        if kind in (dict, list) and not pa.types.is_string(field.type):
            array, bad = pa.nulls(len(plain), field.type), pa.array([True] * len(plain))
        arrays.append(array)
        masks.append(bad)
        order += indexes
    back = pa.array(sorted(range(len(order)), key=order.__getitem__), pa.int64())
    return pa.concat_arrays(arrays).take(back), pa.concat_arrays(masks).take(back)


def _cast(array: pa.Array, field: pa.Field) -> tuple[pa.Array, pa.BooleanArray]:
    try:
        return cast_array(array, field)
    except ConfigError:  # no value of this kind fits
        return pa.nulls(len(array), field.type), array.is_valid()


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()

"""Gives batches the stream's schema, and finds the rows that do not fit it."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from dteg.core.batch import Batch, Schema
from dteg.core.types import cast_array, sql_type

from .plain import plain_cast

Reject = Callable[[int, str], None]
"""Called with the 0-based row of the batch and the reason."""

# The escape for NUL in JSON text, behind an even number of backslashes.
_JSON_NUL = r"(^|[^\\])(\\\\)*\\u0000"


def convert_batch(batch: Batch, schema: Schema, reject: Reject) -> Batch:
    """Return the batch with the columns and types of `schema`, without the rows that do not convert.

    Args:
        batch: Columns of any type, usually text; those missing from `schema` are dropped.
        schema: What the result has; a column missing from the batch becomes null.
        reject: Told of each row that is left out.
    """
    columns: list[pa.Array] = []
    reasons: dict[int, str] = {}
    for target in schema:
        if target.name not in batch.schema.names:
            columns.append(pa.nulls(batch.num_rows, target.type))
            continue
        column, bad = convert(batch.column(target.name), target)
        columns.append(column)
        if bad is None:
            continue
        for row in pc.indices_nonzero(bad).to_pylist():
            reasons.setdefault(row, f"column {target.name!r}: not a valid {sql_type(target)}")
    result = pa.RecordBatch.from_arrays(columns, schema=schema)
    if not reasons:
        return result
    for row in sorted(reasons):
        reject(row, reasons[row])
    return result.filter(pa.array([row not in reasons for row in range(batch.num_rows)]))


def convert(values: pa.Array, target: pa.Field) -> tuple[pa.Array, pa.BooleanArray | None]:
    """Return the values in the type of `target`, and where they could not be converted; None is nowhere."""
    if pa.types.is_string(values.type) and (plain := plain_cast(values, target.type)) is not None:
        return plain, None
    column, bad = cast_array(values, target)
    if pa.types.is_string(values.type):
        # A program that quotes everything writes "" for a missing number.
        bad = pc.and_(bad, pc.not_equal(values, ""))
    if pa.types.is_string(target.type):
        # Neither texts nor JSON columns of a database hold a NUL.
        nul = pc.match_substring(column, "\x00")
        if sql_type(target) in ("json", "jsonb"):
            nul = pc.or_(nul, pc.match_substring_regex(column, _JSON_NUL))
        bad = pc.or_(bad, nul.fill_null(False))
    return column, bad

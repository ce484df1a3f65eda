"""What processors share: checking column names, and setting rows aside that were found by masks."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dteg.connectors.base import Context
from dteg.core.batch import Batch, Schema
from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean


def check_columns(processor: str, names: Iterable[str], schema: Schema) -> None:
    """Raise ConfigError, with the near miss, if a column that a processor needs does not exist."""
    for name in names:
        if name not in schema.names:
            near = did_you_mean(name, schema.names) or f"there are: {', '.join(schema.names)}"
            raise ConfigError(f"{processor}: no column {name!r}; {near}")


def set_aside(
    context: Context, batch: Batch, bad: Mapping[str, pa.BooleanArray], source: str, start: int
) -> pa.BooleanArray:
    """Reject each row that is bad for any reason, once, with all its reasons; only these become Python objects.

    Args:
        context: Takes the dead letters.
        batch: The rows as they were given.
        bad: By reason: a mask that is true (not null) where a row is bad.
        source: What the rows are counted in, such as `cast input`.
        start: Rows of `source` before this batch.

    Returns:
        A mask of the rows to keep.
    """
    keep = pa.array([True]).take(pa.array([0] * batch.num_rows, pa.int8()))
    for mask in bad.values():
        keep = pc.and_not(keep, mask)
    rows = pc.indices_nonzero(pc.invert(keep))
    payloads = batch.take(rows).to_pylist()
    reasons = {text: mask.take(rows).to_pylist() for text, mask in bad.items()}
    for place, (row, payload) in enumerate(zip(rows.to_pylist(), payloads, strict=True)):
        reason = "; ".join(text for text, marks in reasons.items() if marks[place])
        context.reject(reason, f"{source} (row {start + row + 1})", _jsonable(payload))
    return keep


def _jsonable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value if _is_json(value) else str(value) for name, value in row.items()}


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, int | str)

"""Arrow batches to JSON records."""

import base64
from decimal import Decimal
from typing import Any

import orjson

from dteg.core.batch import Batch, sql_type_of


def encode_rows(batch: Batch) -> list[bytes]:
    """Return each row as a JSON object, the same bytes for the same row each time.

    Decimals are numbers with all their digits, times ISO 8601, bytes base64, `json` and `jsonb`
    columns the value they hold. NaN and infinity, which JSON has not, are null.
    """
    columns = {}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        values = column.to_pylist()
        is_json = sql_type_of(field) in ("json", "jsonb")
        columns[field.name] = [_json_value(value) for value in values] if is_json else values
    names = list(columns)
    return [
        orjson.dumps(dict(zip(names, row, strict=True)), default=_plain)
        for row in zip(*columns.values(), strict=True)
    ]


def _json_value(value: Any) -> Any:
    """Embed a JSON text as it is; a text that is no JSON stays a text."""
    if not isinstance(value, str):
        return value
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return orjson.Fragment(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value)) if value.is_finite() else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

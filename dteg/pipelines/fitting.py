"""Batches made to fit the target: cast to its exact types, and without the rows that cannot be."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dteg.connectors.base import Context
from dteg.core.batch import Batch
from dteg.core.columns import AnySchema, sql_type
from dteg.core.identifiers import TableName
from dteg.core.types import arrow_schema, cast_exactly


class Fitting:
    """Fits the batches of one read."""

    def __init__(
        self, context: Context, stream: str, target: TableName, schema: AnySchema, key: Sequence[str]
    ) -> None:
        """Fit to `schema`, where no column of `key` may be null; rows that do not fit go to the context."""
        self._context, self._stream, self._target, self._key = context, stream, target, key
        self._schema = arrow_schema(schema)
        self._source, self._arrived = "", 0

    def fit(self, batch: Batch) -> Batch:
        """Return the rows that fit; counts the records of each source for messages."""
        if self._context.source != self._source:
            self._source, self._arrived = self._context.source, 0
        fitted = self._fit(batch)
        self._arrived += batch.num_rows
        return fitted

    def _fit(self, batch: Batch) -> Batch:
        bad: dict[str, pa.BooleanArray] = {}
        columns = []
        for target in self._schema:
            column = batch.column(batch.schema.get_field_index(target.name))
            if column.type != target.type or sql_type(batch.schema.field(target.name)) != sql_type(target):
                column, mask = cast_exactly(column, target)
                bad[f"{target.name} is not {sql_type(target)}"] = mask
            columns.append(column)
        for name in batch.schema.names:
            if name not in self._schema.names:
                bad[f"column {name} is unknown to {self._target}"] = pc.is_valid(batch.column(name))
        for name in self._key:
            bad[f"key column {name} is null"] = pc.is_null(columns[self._schema.get_field_index(name)])
        fitted = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        bad = {reason: mask for reason, mask in bad.items() if pc.any(mask).as_py()}
        return self._without_bad(batch, fitted, bad) if bad else fitted

    def _without_bad(self, batch: Batch, fitted: Batch, bad: dict[str, pa.BooleanArray]) -> Batch:
        any_bad = pa.array([False] * batch.num_rows)
        for mask in bad.values():
            any_bad = pc.or_(any_bad, mask)
        for index in pc.indices_nonzero(any_bad).to_pylist():
            reason = "; ".join(text for text, mask in bad.items() if mask[index].as_py())
            position = f"{self._source or self._stream} (record {self._arrived + index + 1})"
            self._context.reject(reason, position, _row(batch, index))
        return fitted.filter(pc.invert(any_bad))


def no_rows(schema: AnySchema) -> Batch:
    """Return an empty batch."""
    return pa.RecordBatch.from_pylist([], schema=arrow_schema(schema))


def _row(batch: Batch, index: int) -> dict[str, Any]:
    values = {name: batch.column(name)[index].as_py() for name in batch.schema.names}
    return {
        name: value if isinstance(value, int | float | bool | None) else str(value)
        for name, value in values.items()
    }

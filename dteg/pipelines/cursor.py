"""Positions in a stream: the greatest cursor value, lookback, and rows that share the last value."""

import hashlib
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dteg.connectors.base import Checkpoint
from dteg.core.batch import Batch
from dteg.core.durations import parse_duration
from dteg.core.errors import ConfigError
from dteg.core.types import sql_type

# More rows than this with one cursor value, and an append can no longer tell them apart.
MAX_BOUNDARY_ROWS = 100_000
BOUNDARY_KEY = "boundary"

CursorValue = str | int | float


def to_json(value: Any) -> CursorValue | None:
    """Return a cursor value as text or number that keeps its order when read back."""
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise ConfigError(
        f"a {type(value).__name__} cannot be a cursor; use a number, a date, a timestamp or a text"
    )


def step_back(cursor: CursorValue, lookback: str | int) -> CursorValue:
    """Return the cursor moved back by `lookback`.

    Raises:
        ConfigError: The lookback does not fit the cursor.
    """
    try:
        if isinstance(cursor, str):
            if isinstance(lookback, str):
                return _earlier(cursor, parse_duration(lookback))
            return str(Decimal(cursor) - lookback)
        if isinstance(lookback, int):
            return cursor - lookback
    except (ValueError, OverflowError, InvalidOperation):
        pass
    raise ConfigError(f"lookback {lookback!r} does not fit the cursor value {cursor!r}")


def _earlier(cursor: str, span: timedelta) -> str:
    if len(cursor) == len("2013-01-01"):
        # A date minus two hours lies in the day before; `date - span` would look at whole days only.
        return (date.fromisoformat(cursor) + -span).isoformat()
    return (datetime.fromisoformat(cursor) - span).isoformat()


def check_cursor(column: pa.Field) -> None:
    """Refuse a column whose order Arrow does not know.

    A type that travels as text, such as `numeric` without precision, would be compared letter by
    letter: 9 after 10. The saved position would then skip rows.

    Raises:
        ConfigError: Says what to use instead.
    """
    types, type_ = pa.types, column.type
    name = sql_type(column)
    ordered = types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_)
    ordered = ordered or types.is_timestamp(type_) or types.is_date(type_)
    if not ordered and not (types.is_string(type_) and name.partition("(")[0] in _TEXTS):
        hint = "; cast it in a query, such as id::numeric(38,0)" if name == "numeric" else ""
        raise ConfigError(
            f"column {column.name!r} of type {name} cannot be a cursor{hint}; use a number, a date, a timestamp or a text"
        )


_TEXTS = frozenset({"text", "varchar", "char", "uuid"})


class CursorTracker:
    """Follows the greatest cursor value through a read, and the rows that have exactly that value.

    A read is inclusive, so the rows at the saved value come again. A merge drops them by key; for
    an append the tracker drops them by their content, counted, so that a new row equal to an old
    one is still kept. The saved position never moves back, whatever a lookback reads again.
    """

    def __init__(self, column: str | None, saved: Checkpoint | None, *, drop_repeats: bool) -> None:
        """Start at `saved`, or at the beginning."""
        self.column = column
        self.drop_repeats = drop_repeats
        self.saved = saved
        self._greatest: Any = None
        self._boundary: Counter[str] = Counter(saved.position.get(BOUNDARY_KEY, {}) if saved else {})
        self._repeats = self._boundary.copy()

    def filter(self, batch: Batch) -> Batch:
        """Return the batch without repeated rows, and remember how far it goes."""
        if self.column is None or batch.num_rows == 0:
            return batch
        saved = self._saved_value(batch.schema.field(self.column))
        if self._greatest is None and saved is not None:
            self._greatest = saved.as_py()
        if self.drop_repeats and saved is not None:
            batch = self._without_repeats(batch, saved)
        self._advance(batch)
        return batch

    def passed(self, greatest: Any, column: pa.Field) -> None:
        """Note the greatest value of rows that were loaded without coming through `filter`."""
        saved = self._saved_value(column)
        values = [
            value for value in (saved.as_py() if saved is not None else None, greatest) if value is not None
        ]
        self._greatest = max(values, default=None)

    def checkpoint(self, position: dict[str, Any]) -> Checkpoint:
        """Return the position to save: `position` of the extractor and, with a cursor, how far it got."""
        if self.column is None:
            return Checkpoint(position=position)
        if self._greatest is None:
            return self.saved or Checkpoint(position=position)
        kept = {BOUNDARY_KEY: dict(self._boundary)} if self.drop_repeats else {}
        return Checkpoint(to_json(self._greatest), {**position, **kept})

    def _saved_value(self, field: pa.Field) -> pa.Scalar | None:
        """Return the saved cursor as a value of the column; None at the beginning."""
        cursor = self.saved.cursor if self.saved else None
        if cursor is None:
            return None
        try:
            # As text, because Arrow refuses an integer for a decimal that is smaller than a bigint.
            return pa.scalar(str(cursor)).cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise ConfigError(
                f"the saved position {cursor!r} does not fit column {self.column!r}, which is {sql_type(field)} now; "
                "load all again with --full-refresh"
            ) from None

    def _column_of(self, batch: Batch) -> pa.Array:
        return batch.column(batch.schema.get_field_index(self.column))

    def _advance(self, batch: Batch) -> None:
        greatest = pc.max(self._column_of(batch)).as_py() if batch.num_rows else None
        if greatest is None or (self._greatest is not None and greatest < self._greatest):
            return
        if self._greatest is None or greatest > self._greatest:
            self._boundary.clear()
            self._greatest = greatest
        if not self.drop_repeats:
            return
        column = self._column_of(batch)
        at_top = batch.filter(pc.equal(column, pa.scalar(greatest, column.type)))
        if self._boundary.total() + at_top.num_rows > MAX_BOUNDARY_ROWS:
            raise ConfigError(
                f"more than {MAX_BOUNDARY_ROWS} rows have the cursor value {greatest!r}; append cannot keep them "
                "apart: use a finer cursor, or write: merge with a primary_key"
            )
        self._boundary.update(_digests(at_top))

    def _without_repeats(self, batch: Batch, cursor: pa.Scalar) -> Batch:
        # Not every source can filter: what lies before the saved value was loaded already.
        column = self._column_of(batch)
        batch = batch.filter(pc.greater_equal(column, cursor))
        column = self._column_of(batch)
        same = pc.equal(column, cursor)
        candidates = pc.indices_nonzero(same).to_pylist()
        if not candidates:
            return batch
        keep = [True] * batch.num_rows
        for index, digest in zip(candidates, _digests(batch.take(candidates)), strict=True):
            if self._repeats[digest] > 0:
                self._repeats[digest] -= 1
                keep[index] = False
        return batch.filter(pa.array(keep))


def _digests(batch: Batch) -> list[str]:
    rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
    return [hashlib.blake2b(repr(row).encode(), digest_size=12).hexdigest() for row in rows]

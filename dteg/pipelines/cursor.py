"""Positions in a stream: the greatest cursor value, lookback, and rows that share the last value."""

import hashlib
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from dteg.connectors.base import Checkpoint
from dteg.core.batch import Batch
from dteg.core.columns import Column, sql_type
from dteg.core.durations import parse_duration
from dteg.core.errors import ConfigError
from dteg.core.sql_types import is_arrow_decimal, parse_sql_type

if TYPE_CHECKING:
    import pyarrow as pa

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


def _like(value: Any, saved: CursorValue) -> Any:
    """Return a saved cursor as a value of the same type as `value`."""
    if isinstance(value, datetime | date):
        return type(value).fromisoformat(str(saved))
    return type(value)(str(saved))


def _earlier(cursor: str, span: timedelta) -> str:
    if len(cursor) == len("2013-01-01"):
        # A date minus two hours lies in the day before; `date - span` would look at whole days only.
        return (date.fromisoformat(cursor) + -span).isoformat()
    return (datetime.fromisoformat(cursor) - span).isoformat()


def check_cursor(column: "Column | pa.Field") -> None:
    """Refuse a column whose order Arrow does not know.

    A type that travels as text, such as `numeric` without precision, would be compared letter by
    letter: 9 after 10. The saved position would then skip rows.

    Raises:
        ConfigError: Says what to use instead.
    """
    name = sql_type(column)
    if not (_is_ordered(name) if isinstance(column, Column) else _is_ordered_in_arrow(column.type, name)):
        hint = "; cast it in a query, such as id::numeric(38,0)" if name == "numeric" else ""
        raise ConfigError(
            f"column {column.name!r} of type {name} cannot be a cursor{hint}; use a number, a date, a timestamp or a text"
        )


_TEXTS = frozenset({"text", "varchar", "char", "uuid"})
_ORDERED = _TEXTS | {
    "smallint", "integer", "bigint", "real", "double precision", "date", "timestamp", "timestamptz",
}  # fmt: skip


def _is_ordered(name: str) -> bool:
    try:
        type_ = parse_sql_type(name)
    except ConfigError:  # a type of one database, such as an enum
        return False
    return is_arrow_decimal(type_) or (type_.name in _ORDERED and not type_.array)


def _is_ordered_in_arrow(type_: "pa.DataType", name: str) -> bool:
    from pyarrow import types

    ordered = types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_)
    ordered = ordered or types.is_timestamp(type_) or types.is_date(type_)
    return bool(ordered or (types.is_string(type_) and name.partition("(")[0] in _TEXTS))


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

    def passed(self, greatest: Any, type_: str) -> None:
        """Note the greatest value of rows that were loaded without coming through `filter`.

        Args:
            greatest: The value; None if there were no rows.
            type_: SQL type of the column, for the error.

        Raises:
            ConfigError: The saved position is of another type.
        """
        saved = self.saved.cursor if self.saved else None
        if saved is None or greatest is None:
            self._greatest = saved if greatest is None else greatest
            return
        try:
            self._greatest = max(_like(greatest, saved), greatest)
        except (ValueError, TypeError, InvalidOperation):
            raise self._does_not_fit(saved, type_) from None

    def checkpoint(self, position: dict[str, Any]) -> Checkpoint:
        """Return the position to save: `position` of the extractor and, with a cursor, how far it got."""
        if self.column is None:
            return Checkpoint(position=position)
        if self._greatest is None:
            return self.saved or Checkpoint(position=position)
        kept = {BOUNDARY_KEY: dict(self._boundary)} if self.drop_repeats else {}
        return Checkpoint(to_json(self._greatest), {**position, **kept})

    def _saved_value(self, field: "pa.Field") -> "pa.Scalar | None":
        """Return the saved cursor as a value of the column; None at the beginning."""
        cursor = self.saved.cursor if self.saved else None
        if cursor is None:
            return None
        import pyarrow as pa

        try:
            # As text, because Arrow refuses an integer for a decimal that is smaller than a bigint.
            return pa.scalar(str(cursor)).cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise self._does_not_fit(cursor, sql_type(field)) from None

    def _does_not_fit(self, cursor: CursorValue, type_: str) -> ConfigError:
        return ConfigError(
            f"the saved position {cursor!r} does not fit column {self.column!r}, which is {type_} now; "
            "load all again with --full-refresh"
        )

    def _column_of(self, batch: Batch) -> "pa.Array":
        return batch.column(batch.schema.get_field_index(self.column))

    def _advance(self, batch: Batch) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

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

    def _without_repeats(self, batch: Batch, cursor: "pa.Scalar") -> Batch:
        import pyarrow as pa
        import pyarrow.compute as pc

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

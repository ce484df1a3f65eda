"""Columns of bytes turned into the types of the stream; what cannot be kept is refused by its name."""

import contextlib
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from dteg.connectors import Batch, Schema
from dteg.core.errors import PermanentError
from dteg.core.types import cast_array

from .decode import columns_of
from .types import Column, ZeroDates
from .wire import Block

# A day, month or year that is zero. Arrow refuses the first two; in PostgreSQL there is no year zero either.
_ZERO = r"^(0000|\d{4}-00|\d{4}-\d\d-00)"


class ZeroDateError(PermanentError):
    """A column holds dates such as 0000-00-00; carries the column's name."""

    def __init__(self, column: str, stream: str) -> None:
        """Name the column."""
        self.column = column
        super().__init__(f"column {column!r} holds zero dates", component="mysql", stream=stream)


class Reader:
    """Turns blocks of one stream into batches."""

    def __init__(self, columns: list[Column], schema: Schema, stream: str, zero_dates: ZeroDates) -> None:
        """Prepare for blocks with these columns."""
        self._columns, self._schema, self._stream, self._zero_dates = columns, schema, stream, zero_dates

    def batch(self, block: Block) -> Batch:
        """Return the rows of a block.

        Raises:
            ZeroDateError: A date is zero, and `zero_dates` is not `null`.
            PermanentError: A value has no Arrow form; names the column.
        """
        arrays = columns_of(block, len(self._columns))
        return pa.RecordBatch.from_arrays(
            [
                self._converted(array, column, each)
                for array, column, each in zip(arrays, self._columns, self._schema, strict=True)
            ],
            schema=self._schema,
        )

    def _converted(self, array: pa.Array, column: Column, each: pa.Field) -> pa.Array:
        type_ = each.type
        if pa.types.is_binary(type_):
            return array
        with self._naming(column):
            texts = array.cast(pa.string())  # checks that it is UTF-8
            if pa.types.is_string(type_):
                return texts
            if pa.types.is_time(type_):
                return _times(texts, each)
            if not column.has_dates:
                return texts.cast(type_)
            return self._dates(texts, column, lambda: _moments(texts, type_), type_)

    def _dates(
        self, texts: pa.Array, column: Column, convert: Callable[[], pa.Array], type_: pa.DataType
    ) -> pa.Array:
        """Convert dates; looks for zero ones only where something is wrong, because looking costs as much."""
        try:
            dates = convert()
            if not _has_year_zero(dates):
                return dates
        except pa.ArrowInvalid:
            pass
        zero = pc.match_substring_regex(texts, _ZERO)
        if not pc.any(zero).as_py():
            return convert()  # raises again, for another reason
        if self._zero_dates == "error":
            raise ZeroDateError(column.name, self._stream)
        return _moments(pc.if_else(zero, pa.scalar(None, pa.string()), texts), type_)

    @contextlib.contextmanager
    def _naming(self, column: Column) -> Iterator[None]:
        try:
            yield
        except pa.ArrowInvalid as error:
            raise PermanentError(
                f"{self._stream}: column {column.name} ({column.source_type} read as {column.sql_type}): {error}; "
                "cast the column to CHAR in a query, or leave it out",
                component="mysql",
                stream=self._stream,
            ) from None


def _moments(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return dates or timestamps; those with a zone are in UTC, as the session is."""
    if pa.types.is_timestamp(type_) and type_.tz:
        return texts.cast(pa.timestamp(type_.unit)).cast(type_)
    return texts.cast(type_)


def _times(texts: pa.Array, target: pa.Field) -> pa.Array:
    """Return times of day, which Arrow by itself cannot read from texts."""
    times, bad = cast_array(texts, target)
    if pc.any(bad).as_py():
        raise pa.ArrowInvalid(f"{texts.filter(bad)[0].as_py()!r} is no time of day")
    return times


def _has_year_zero(dates: pa.Array) -> bool:
    least = pc.min(dates)
    first = pa.scalar("0001-01-01").cast(pa.date32()).cast(pa.timestamp("us")).cast(dates.type)
    return bool(pc.less(least, first).as_py())

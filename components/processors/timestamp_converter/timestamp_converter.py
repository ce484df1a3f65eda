"""Turns local times, texts and epoch numbers into instants, and back into local times."""

import zoneinfo
from datetime import datetime
from decimal import Decimal
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from dteg.connectors.base import Capabilities, ConnectorConfig, Context, Processor
from dteg.connectors.processing import check_columns, set_aside
from dteg.core.batch import SQL_TYPE_KEY, Batch, Schema
from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean
from dteg.core.types import cast_array

LOCAL = pa.timestamp("us")
UTC = pa.timestamp("us", tz="UTC")
_EPOCH_UNIT = {"epoch_s": 1_000_000, "epoch_ms": 1_000}  # microseconds


class TimestampConverterConfig(ConnectorConfig):
    """Which columns are times, where, and how they are written."""

    timezone: str = Field(
        description="Time zone such as `Asia/Seoul`: of values without zone, and of `to: local`."
    )
    fields: list[str] = Field(min_length=1, description="Columns to convert.")
    from_timezone: str | None = Field(
        None, description="Time zone of values without zone, where it is another one."
    )
    format: str = Field(
        "iso", description="How texts and numbers are written: iso, epoch_s, epoch_ms, or `%d.%m.%Y %H:%M`."
    )
    to: Literal["utc", "local"] = Field(
        "utc", description="Result: an instant (timestamptz), or the local time without zone."
    )
    dst: Literal["reject", "earliest", "latest"] = Field(
        "reject",
        description="Local times that a clock change skips or repeats: set the row aside, or take this one.",
    )

    @field_validator("timezone", "from_timezone")
    @classmethod
    def _zone_exists(cls, name: str | None) -> str | None:
        known = zoneinfo.available_timezones()
        if name is not None and name not in known:
            raise ValueError(
                f"unknown time zone {name!r}; {did_you_mean(name, known) or 'write it as Continent/City'}"
            )
        return name

    @field_validator("format")
    @classmethod
    def _format_is_known(cls, text: str) -> str:
        if text not in ("iso", *_EPOCH_UNIT) and "%" not in text:
            raise ValueError("write iso, epoch_s, epoch_ms or a pattern with %Y, %m, %d, %H, %M, %S")
        if "%z" in text.lower() or "%f" in text:
            raise ValueError(
                "a pattern cannot hold a zone (%z) or fractions of a second (%f); use format: iso"
            )
        return text


class TimestampConverter(Processor[TimestampConverterConfig]):
    """Converts whole columns; a value that is no time sets its row aside."""

    capabilities = Capabilities()

    def __init__(self, config: TimestampConverterConfig, context: Context) -> None:
        """Start to count rows."""
        super().__init__(config, context)
        self._rows_seen = 0

    def output_schema(self, schema: Schema) -> Schema:
        """Return the schema with timestamps in place of the configured columns.

        Raises:
            ConfigError: A column does not exist or cannot be a time.
        """
        check_columns("timestamp_converter", self.config.fields, schema)
        for name in self.config.fields:
            self._convert(pa.nulls(0, schema.field(name).type), name)
        return self._schema(schema)

    def process(self, batch: Batch) -> Batch:
        """Return the batch with converted columns."""
        columns, bad = [], {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            result = column
            if name in self.config.fields:
                result, no_time, dst = self._convert(column, name)
                bad[f"column {name!r} is no time in the format {self.config.format}"] = no_time
                bad[f"column {name!r} is skipped or repeated by a clock change in {self._zone}"] = dst
            columns.append(result)
        result_batch = pa.RecordBatch.from_arrays(columns, schema=self._schema(batch.schema))
        start, self._rows_seen = self._rows_seen, self._rows_seen + batch.num_rows
        bad = {reason: mask for reason, mask in bad.items() if pc.any(mask).as_py()}
        if not bad:
            return result_batch
        return result_batch.filter(set_aside(self.context, batch, bad, "timestamp_converter input", start))

    @property
    def _zone(self) -> str:
        return self.config.from_timezone or self.config.timezone

    def _schema(self, schema: Schema) -> Schema:
        type_, sql_type = (UTC, b"timestamptz") if self.config.to == "utc" else (LOCAL, b"timestamp")
        fields = [
            field.with_type(type_).with_metadata({**(field.metadata or {}), SQL_TYPE_KEY: sql_type})
            if field.name in self.config.fields
            else field
            for field in schema
        ]
        return pa.schema(fields, metadata=schema.metadata)

    def _convert(self, column: pa.Array, name: str) -> tuple[pa.Array, pa.BooleanArray, pa.BooleanArray]:
        """Return the converted column, and masks of what is no time and of what clock changes leave open."""
        local, instant = self._read(column, name)
        early = pc.assume_timezone(local, self._zone, ambiguous="earliest", nonexistent="earliest")
        late = pc.assume_timezone(local, self._zone, ambiguous="latest", nonexistent="latest")
        unclear = (
            pc.fill_null(pc.not_equal(early, late), False) if self.config.dst == "reject" else _none(column)
        )
        result = pc.coalesce((late if self.config.dst == "latest" else early).cast(UTC), instant)
        no_time = pc.and_(pc.is_valid(column), pc.is_null(result))
        if self.config.to == "local":
            result = pc.local_timestamp(result.cast(pa.timestamp("us", tz=self.config.timezone)))
        return result, no_time, unclear

    def _read(self, column: pa.Array, name: str) -> tuple[pa.Array, pa.Array]:
        """Return local times and instants; each value is in one of them, or in none if it is no time."""
        type_ = column.type
        if pa.types.is_timestamp(type_) and type_.tz:
            return pa.nulls(len(column), LOCAL), _cast(column, UTC)
        if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
            return _cast(column, LOCAL), pa.nulls(len(column), UTC)
        if self.config.format in _EPOCH_UNIT:
            return pa.nulls(len(column), LOCAL), self._from_epoch(column, name)
        if pa.types.is_null(type_):
            return pa.nulls(len(column), LOCAL), pa.nulls(len(column), UTC)
        if not (pa.types.is_string(type_) or pa.types.is_large_string(type_)):
            hint = "; set format: epoch_s or epoch_ms" if pa.types.is_primitive(type_) else ""
            raise ConfigError(f"timestamp_converter: column {name!r} is {type_}, not a time or a text{hint}")
        if self.config.format == "iso":
            local = _cast(column, LOCAL)
            zoned = pc.if_else(pc.is_null(local), column.cast(pa.string()), pa.scalar(None, pa.string()))
            return local, _cast(zoned, UTC)
        return _by_pattern(column.cast(pa.string()), self.config.format), pa.nulls(len(column), UTC)

    def _from_epoch(self, column: pa.Array, name: str) -> pa.Array:
        # Decimals, because a float does not hold every microsecond of every year.
        number = cast_array(column, pa.field(name, pa.decimal128(22, 6)))[0]
        micros = pc.multiply(number, pa.scalar(Decimal(_EPOCH_UNIT[self.config.format])))
        return cast_array(pc.round(micros), pa.field(name, pa.int64()))[0].cast(UTC)


def _cast(column: pa.Array, type_: pa.DataType) -> pa.Array:
    return cast_array(column, pa.field("value", type_))[0]


def _by_pattern(text: pa.StringArray, pattern: str) -> pa.TimestampArray:
    """Parse by a strptime pattern.

    Arrow reads 31 February as 3 March. So what does not look the same when written again, such as
    a day without leading zero, is read once more by Python, which is strict.
    """
    result = pc.strptime(text, format=pattern, unit="s", error_is_null=True)
    doubtful = pc.fill_null(pc.not_equal(pc.strftime(result, format=pattern), text), False)
    if pc.any(doubtful).as_py():
        again = [_strict(value, pattern) for value in text.filter(doubtful).to_pylist()]
        result = pc.replace_with_mask(result, doubtful, pa.array(again, result.type))
    return result.cast(LOCAL)


def _strict(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, pattern)  # noqa: DTZ007 - a local time; its zone is in the config
    except ValueError:
        return None


def _none(column: pa.Array) -> pa.BooleanArray:
    return pc.and_not(pc.is_valid(column), pc.is_valid(column))

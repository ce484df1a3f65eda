"""Casts columns to SQL types; rows whose values do not fit are set aside."""

from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from dteg.connectors.base import Capabilities, ConnectorConfig, Context, Processor
from dteg.connectors.processing import check_columns, set_aside
from dteg.core.batch import SQL_TYPE_KEY, Batch, Schema
from dteg.core.errors import ConfigError, InputError
from dteg.core.types import cast_array, check_castable, parse_sql_type, sql_field


class CastConfig(ConnectorConfig):
    """Which columns get which type."""

    columns: dict[str, str] = Field(min_length=1, description="SQL types by column, such as `numeric(10,2)`.")
    on_error: Literal["reject", "null", "fail"] = Field(
        "reject",
        description="What to do about a value that does not fit: set its row aside, use null, or fail.",
    )

    @field_validator("columns")
    @classmethod
    def _types_exist(cls, columns: dict[str, str]) -> dict[str, str]:
        for name, type_ in columns.items():
            try:
                parse_sql_type(type_)
            except ConfigError as error:
                raise ValueError(f"{name}: {error}") from None
        return columns


class Cast(Processor[CastConfig]):
    """Casts whole columns; see `dteg.core.types.cast_array` for what fits what."""

    capabilities = Capabilities()

    def __init__(self, config: CastConfig, context: Context) -> None:
        """Start to count rows."""
        super().__init__(config, context)
        self._rows_seen = 0

    def output_schema(self, schema: Schema) -> Schema:
        """Return the schema with the new types.

        Raises:
            ConfigError: A column does not exist, or no value of its type can be cast.
        """
        check_columns("cast", self.config.columns, schema)
        for name in self.config.columns:
            check_castable(schema.field(name).type, self._target(schema.field(name)))
        return pa.schema([self._target(field) for field in schema], metadata=schema.metadata)

    def process(self, batch: Batch) -> Batch:
        """Return the batch with cast columns.

        Raises:
            InputError: A value does not fit and `on_error` is `fail`.
        """
        schema = pa.schema([self._target(field) for field in batch.schema], metadata=batch.schema.metadata)
        columns, bad = [], {}
        for column, target in zip(batch.columns, schema, strict=True):
            if target.name in self.config.columns:
                result, mask = cast_array(column, target)
                columns.append(result)
                if pc.any(mask).as_py():
                    bad[f"column {target.name!r} is not {self.config.columns[target.name]}"] = mask
            else:
                columns.append(column)
        result = pa.RecordBatch.from_arrays(columns, schema=schema)
        start, self._rows_seen = self._rows_seen, self._rows_seen + batch.num_rows
        if not bad or self.config.on_error == "null":
            return result
        if self.config.on_error == "fail":
            reason, mask = next(iter(bad.items()))
            raise InputError(reason, source="cast input", row=start + pc.index(mask, True).as_py() + 1)
        return result.filter(set_aside(self.context, batch, bad, "cast input", start))

    def _target(self, field: pa.Field) -> pa.Field:
        """Return the field after the cast, with its other metadata."""
        if field.name not in self.config.columns:
            return field
        nullable = field.nullable or self.config.on_error == "null"
        target = sql_field(field.name, self.config.columns[field.name], nullable=nullable)
        metadata: dict[bytes, Any] = {**(field.metadata or {}), SQL_TYPE_KEY: target.metadata[SQL_TYPE_KEY]}
        return target.with_metadata(metadata)

"""Keeps the rows for which an expression is true."""

import pyarrow as pa
from pydantic import Field, field_validator

from dteg.connectors.base import Capabilities, ConnectorConfig, Context, Processor
from dteg.core.batch import Batch, Schema
from dteg.core.errors import ConfigError, InputError

from .expression import Expression


class FilterConfig(ConnectorConfig):
    """Which rows stay."""

    where: str = Field(
        min_length=1,
        description="Condition over columns, such as `arr_delay > 15 and carrier in ('UA', 'AA')`.",
    )

    @field_validator("where")
    @classmethod
    def _parses(cls, where: str) -> str:
        try:
            Expression(where)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return where


class Filter(Processor[FilterConfig]):
    """Drops rows for which the condition is false or unknown; they are not dead letters."""

    capabilities = Capabilities()

    def __init__(self, config: FilterConfig, context: Context) -> None:
        """Parse the condition."""
        super().__init__(config, context)
        self._where = Expression(config.where)

    def output_schema(self, schema: Schema) -> Schema:
        """Return the same schema.

        Raises:
            ConfigError: A column does not exist, or types do not fit; says at which character.
        """
        self._where.mask(pa.RecordBatch.from_pylist([], schema=schema))
        return schema

    def process(self, batch: Batch) -> Batch:
        """Return the rows for which the condition is true."""
        try:
            return batch.filter(self._where.mask(batch))
        except pa.ArrowInvalid as error:
            raise InputError(f"filter {self._where.text!r}: {error}") from error

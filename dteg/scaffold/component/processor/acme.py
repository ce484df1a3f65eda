"""DESCRIPTION.

As it was made it trims texts, so that it runs at once: put your own rule in the place of `_changed`.
"""

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from dteg.connectors import Batch, Capabilities, ConnectorConfig, Processor, Schema
from dteg.connectors.processing import check_columns
from dteg.core.errors import ConfigError


class AcmeConfig(ConnectorConfig):
    """Which columns change, and how."""

    columns: list[str] = Field(min_length=1, description="Columns of texts that are trimmed.")
    empty_as_null: bool = Field(False, description="Make NULL of what is empty afterwards.")


class AcmeProcessor(Processor[AcmeConfig]):
    """Trims blanks at both ends of texts; every row stays."""

    capabilities = Capabilities(row_preserving=True)

    def output_schema(self, schema: Schema) -> Schema:
        """Return the schema as it is, after a look at the columns: said before the first row is read.

        Raises:
            ConfigError: A column does not exist or holds no texts.
        """
        check_columns("acme", self.config.columns, schema)
        for name in self.config.columns:
            if not (
                pa.types.is_string(schema.field(name).type)
                or pa.types.is_large_string(schema.field(name).type)
            ):
                raise ConfigError(f"acme: column {name!r} is {schema.field(name).type}, not text")
        return schema

    def process(self, batch: Batch) -> Batch:
        """Return the batch with changed columns; Arrow works on whole columns, so no row becomes an object."""
        schema = self.output_schema(batch.schema)
        arrays = [
            self._changed(array) if name in self.config.columns else array
            for name, array in zip(schema.names, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _changed(self, array: pa.Array) -> pa.Array:
        trimmed = pc.utf8_trim_whitespace(array)
        if not self.config.empty_as_null:
            return trimmed
        return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, trimmed.type), trimmed)

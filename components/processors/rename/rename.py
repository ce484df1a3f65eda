"""Renames columns, one by one or all of them by a pattern."""

import re
from typing import Literal

import pyarrow as pa
from pydantic import Field, model_validator

from dteg.connectors.base import Capabilities, ConnectorConfig, Processor
from dteg.connectors.processing import check_columns
from dteg.core.batch import Batch, Schema
from dteg.core.errors import ConfigError
from dteg.core.identifiers import check_identifier


class RenameConfig(ConnectorConfig):
    """Which names change, and how."""

    columns: dict[str, str] = Field({}, description="New names by old names; these are taken as written.")
    prefix: str = Field("", description="Put before the names of all other columns.")
    suffix: str = Field("", description="Put after the names of all other columns.")
    case: Literal["keep", "snake", "lower", "upper"] = Field(
        "keep", description="Letter case of all other columns; snake makes `orderId` into `order_id`."
    )

    @model_validator(mode="after")
    def _does_something(self) -> "RenameConfig":
        if not (self.columns or self.prefix or self.suffix or self.case != "keep"):
            raise ValueError("nothing to rename; give columns, prefix, suffix or case")
        return self


class Rename(Processor[RenameConfig]):
    """Gives columns other names; values, types and metadata stay."""

    capabilities = Capabilities(row_preserving=True)

    def output_schema(self, schema: Schema) -> Schema:
        """Return the schema with the new names.

        Raises:
            ConfigError: A column does not exist, or two columns would have one name.
        """
        check_columns("rename", self.config.columns, schema)
        names = [self._new_name(name) for name in schema.names]
        for place, name in enumerate(names):
            if (first := names.index(name)) < place:
                both = f"{schema.names[first]!r} and {schema.names[place]!r}"
                raise ConfigError(f"rename: {both} would both be called {name!r}")
        fields = [field.with_name(name) for field, name in zip(schema, names, strict=True)]
        return pa.schema(fields, metadata=schema.metadata)

    def process(self, batch: Batch) -> Batch:
        """Return the same columns under the new names."""
        return pa.RecordBatch.from_arrays(batch.columns, schema=self.output_schema(batch.schema))

    def _new_name(self, name: str) -> str:
        if name in self.config.columns:
            return check_identifier(self.config.columns[name], "column name")
        return check_identifier(f"{self.config.prefix}{self._cased(name)}{self.config.suffix}", "column name")

    def _cased(self, name: str) -> str:
        if self.config.case == "snake":
            return snake_case(name)
        return {"keep": name, "lower": name.lower(), "upper": name.upper()}[self.config.case]


def snake_case(name: str) -> str:
    """Return `HTTPStatus Code` as `http_status_code`."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words)
    return re.sub(r"[^0-9a-z]+", "_", words.lower()).strip("_") or name

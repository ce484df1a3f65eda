"""Drops rows whose key came before, within the whole stream."""

import hashlib
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from dteg.connectors.base import Capabilities, ConnectorConfig, Context, Processor
from dteg.connectors.processing import check_columns
from dteg.core.batch import Batch, Schema
from dteg.core.errors import ConfigError

DIGEST_BYTES = 16  # two of 10^12 keys share a digest with probability 10^-15


class DeduplicateConfig(ConnectorConfig):
    """What makes two rows the same record."""

    key: list[str] = Field(min_length=1, description="Columns that identify a record.")
    keep: Literal["first", "last"] = Field(
        "first", description="Which row of a key stays: the first of the stream, or the last of each batch."
    )


class Deduplicate(Processor[DeduplicateConfig]):
    """Remembers a digest of each key; rows with a null in the key are never duplicates."""

    capabilities = Capabilities()

    def __init__(self, config: DeduplicateConfig, context: Context) -> None:
        """Start with no key seen."""
        super().__init__(config, context)
        self._seen: set[bytes] = set()

    def output_schema(self, schema: Schema) -> Schema:
        """Return the same schema.

        Raises:
            ConfigError: A key column does not exist or cannot be compared.
        """
        check_columns("deduplicate", self.config.key, schema)
        for name in self.config.key:
            if pa.types.is_nested(schema.field(name).type):
                raise ConfigError(
                    f"deduplicate: column {name!r} is {schema.field(name).type}; use a plain column as key"
                )
        return schema

    def process(self, batch: Batch) -> Batch:
        """Return the batch without duplicates, in the same order."""
        keys = [batch.column(batch.schema.get_field_index(name)) for name in self.config.key]
        whole = pc.is_valid(keys[0])
        for key in keys[1:]:
            whole = pc.and_(whole, pc.is_valid(key))
        candidates = _one_per_key(keys, pc.indices_nonzero(whole), self.config.keep)
        if self.config.keep == "first":
            candidates = self._unseen(keys, candidates)
        rows = pa.concat_arrays([candidates, pc.indices_nonzero(pc.invert(whole))])
        return batch if len(rows) == batch.num_rows else batch.take(rows.sort())

    def _unseen(self, keys: list[pa.Array], rows: pa.UInt64Array) -> pa.UInt64Array:
        """Return the rows whose key no earlier batch had, and remember these keys.

        One digest after the other: Arrow has no hash table that outlives a batch.
        """
        encoded = _encoded([key.take(rows) for key in keys])
        digests = [hashlib.blake2b(key, digest_size=DIGEST_BYTES).digest() for key in encoded.to_pylist()]
        new = pa.array([digest not in self._seen for digest in digests], pa.bool_())
        self._seen.update(digests)
        return rows.filter(new)


def _one_per_key(keys: list[pa.Array], rows: pa.UInt64Array, keep: str) -> pa.UInt64Array:
    names = [f"key{place}" for place in range(len(keys))]
    table = pa.Table.from_arrays([*(key.take(rows) for key in keys), rows], names=[*names, "row"])
    best = "min" if keep == "first" else "max"
    return table.group_by(names).aggregate([("row", best)]).column(f"row_{best}").combine_chunks().sort()


def _encoded(keys: list[pa.Array]) -> pa.BinaryArray:
    """Return one text for each row that differs when any key differs: `1:a2:bc`."""
    parts: list[pa.Array] = []
    for key in keys:
        plain = key.dictionary_decode() if pa.types.is_dictionary(key.type) else key
        text = plain if pa.types.is_binary(plain.type) else plain.cast(pa.string()).cast(pa.binary())
        length = pc.binary_length(text).cast(pa.string()).cast(pa.binary())
        parts.append(pc.binary_join_element_wise(length, text, b":"))
    return pc.binary_join_element_wise(*parts, b"")

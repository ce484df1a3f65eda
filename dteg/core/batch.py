"""The unit that flows through a pipeline: an Arrow record batch.

A field may carry, under the metadata key `dteg:sql_type`, the exact SQL type of its source, such
as `numeric(15,2)` or `jsonb`. Processors leave it alone when they do not change the column, and
database loaders create the target's column from it.
"""

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

# Names of types and not the types: what only hands batches on need not import Arrow.
Batch: TypeAlias = "pa.RecordBatch"
Schema: TypeAlias = "pa.Schema"

SQL_TYPE_KEY = b"dteg:sql_type"


def field(
    name: str, type_: "pa.DataType", *, sql_type: str | None = None, nullable: bool = True
) -> "pa.Field":
    """Make a field, with the SQL type of its source if it is known."""
    import pyarrow as pa

    metadata = {SQL_TYPE_KEY: sql_type.encode()} if sql_type else None
    return pa.field(name, type_, nullable=nullable, metadata=metadata)


def sql_type_of(column: "pa.Field") -> str | None:
    """Return the SQL type a field carries, if any."""
    value = (column.metadata or {}).get(SQL_TYPE_KEY)
    return value.decode() if value else None

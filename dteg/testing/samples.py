"""Small things that tests need: a context in a temporary folder, and batches written as columns."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from dteg.connectors.base import Context
from dteg.core.batch import Batch
from dteg.core.project import Project
from dteg.core.types import sql_field


def make_context(folder: Path, *, run_id: str = "test-run") -> Context:
    """Return a context whose project lies in `folder`."""
    return Context(Project(folder), run_id)


def make_batch(*, types: dict[str, str] | None = None, **columns: Any) -> Batch:
    """Return a batch: `make_batch(id=[1, 2], name=["a", None], types={"id": "bigint"})`.

    Args:
        types: SQL types by column; other columns get the type Arrow infers.
        columns: Values by column: a list, or an Arrow array.
    """
    arrays, fields = [], []
    for name, values in columns.items():
        if types and name in types:
            field = sql_field(name, types[name])
            array = pa.array(values, field.type)
        else:
            array = values if isinstance(values, pa.Array) else pa.array(values)
            field = pa.field(name, array.type)
        arrays.append(array)
        fields.append(field)
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

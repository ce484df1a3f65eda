"""Broken Parquet files."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.e2e.bad_input.case import PIPELINE, SEEDED, Case, Content, data_case


def parquet(name: str, what: str, data: Content, *says: str, **other: Any) -> Case:
    return data_case("parquet", name, what, data, *says, file="data.parquet", **other)


def written(table: pa.Table | None = None) -> bytes:
    sink = io.BytesIO()
    good = {"id": list(range(4, 2004)), "name": [f"name {n}" for n in range(2000)], "amount": [1.5] * 2000}
    pq.write_table(pa.table(good) if table is None else table, sink)
    return sink.getvalue()


def broken(start: int, end: int) -> bytes:
    data = bytearray(written())
    data[start:end] = b"\xff" * len(data[start:end])
    return bytes(data)


NOT_PARQUET = "not a Parquet file, damaged or truncated"
CASES: list[Case] = [
    parquet("empty", "nothing in the file", b"", NOT_PARQUET),
    parquet("truncated", "half of a file", lambda: written()[: len(written()) // 2], NOT_PARQUET),
    parquet("no-footer", "the end cut off", lambda: written()[:-8], NOT_PARQUET),
    parquet("csv-inside", "CSV with the wrong suffix", "id,name,amount\n4,four,1\n", NOT_PARQUET),
    parquet("broken-page", "a damaged page", lambda: broken(4, 400), NOT_PARQUET),
    parquet("broken-footer", "a damaged footer", lambda: broken(-300, -8), NOT_PARQUET),
    parquet("column-twice", "a column name twice", lambda: written(pa.table([[4], ["four"]], names=["id", "id"])), "two columns have the same name"),
    parquet("null-key", "no value in a key column", lambda: written(pa.table({"id": [4, None], "name": ["a", "b"], "amount": [1.0, 2.0]})), "key column id is null", at=" (record 2)", code=1),
    parquet("wrong-type", "a text in a column of numbers", lambda: written(pa.table({"id": ["4", "x"], "name": ["a", "b"], "amount": [1.0, 2.0]})), "'id': not a valid bigint", at=" (row 2)", code=1),
    parquet("impossible-type", "a time where a number is declared", lambda: written(pa.table({"id": pa.array([4], pa.timestamp("us")), "name": ["a"], "amount": [1.0]})), "'id'.*cannot be cast to bigint", place=PIPELINE),
    parquet("no-rows", "columns and no rows", lambda: written(pa.schema({"id": pa.int64(), "name": pa.string(), "amount": pa.float64()}).empty_table()), code=0, loaded=SEEDED),
]  # fmt: skip

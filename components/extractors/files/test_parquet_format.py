"""Parquet."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from .conftest import input_error, make_extractor, parquet_bytes, read, types, zipped


def test_parquet_types_are_kept_or_made_storable(folder):
    table = pa.table(
        {
            "n": pa.array([Decimal("1.50")], pa.decimal128(12, 2)),
            "s": pa.array(["x"]).dictionary_encode(),
            "o": pa.array([{"a": [1, 2]}]),
            "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "u": pa.array([2**64 - 1], pa.uint64()),
            "t": pa.array([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
        }
    )
    schema, rows, _ = read(make_extractor(folder, "x.parquet", parquet_bytes(table)))
    assert types(schema) == {
        "n": "numeric(12,2)",
        "s": "string",
        "o": "jsonb",
        "m": "jsonb",
        "u": "numeric(20,0)",
        "t": "timestamp[us, tz=UTC]",
    }
    assert rows[0]["n"] == Decimal("1.50")
    assert (rows[0]["s"], rows[0]["o"], rows[0]["m"]) == ("x", '{"a":[1,2]}', '{"k":1}')
    assert rows[0]["u"] == 2**64 - 1


def test_parquet_files_widen_each_other_but_must_fit(folder):
    make_extractor(folder, "in/a.parquet", parquet_bytes(pa.table({"a": pa.array([1], pa.int32())})))
    make_extractor(folder, "in/b.parquet", parquet_bytes(pa.table({"a": [2], "b": ["x"]})))
    schema, rows, _ = read(make_extractor(folder, "in/*.parquet"))
    assert types(schema) == {"a": "int64", "b": "string"}
    assert rows == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    make_extractor(folder, "in/c.parquet", parquet_bytes(pa.table({"a": ["text"]})))
    assert input_error(make_extractor(folder, "in/*.parquet")).source == "in/c.parquet"


def test_parquet_value_that_is_not_of_its_declared_type_is_set_aside(folder):
    content = parquet_bytes(pa.table({"a": ["1", "x", "3"]}))
    _, rows, letters = read(make_extractor(folder, "x.parquet", content, columns={"a": "integer"}))
    assert [row["a"] for row in rows] == [1, 3]
    assert letters[0].position == "x.parquet (row 2)"


@pytest.mark.parametrize("keep", [0, 3, 0.5, 0.95])
def test_truncated_parquet_is_an_input_error(folder, keep):
    content = parquet_bytes(pa.table({"a": list(range(10_000))}))
    length = keep if isinstance(keep, int) else int(len(content) * keep)
    assert input_error(make_extractor(folder, "x.parquet", content[:length])).source == "x.parquet"


def test_damaged_parquet_page_is_an_input_error(folder):
    content = bytearray(parquet_bytes(pa.table({"a": [f"{number}" for number in range(50_000)]})))
    content[100:2000] = b"\xff" * 1900
    assert input_error(make_extractor(folder, "x.parquet", bytes(content))).source == "x.parquet"


def test_packed_parquet_is_unpacked_to_a_temporary_file(folder):
    content = parquet_bytes(pa.table({"a": [1]}))
    for name, packed in (
        ("x.parquet.gz", gzip.compress(content)),
        ("x.parquet.zip", zipped(x__parquet=content)),
    ):
        assert read(make_extractor(folder, name, packed))[1] == [{"a": 1}]

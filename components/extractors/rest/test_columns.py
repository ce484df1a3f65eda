"""From records to columns."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from dteg.core.batch import sql_type_of
from dteg.core.errors import DtegError, InputError
from dteg.core.types import sql_field
from dteg.testing.http_server import Reply

from .columns import infer_schema, to_batch
from .conftest import ROWS, read
from .rest import regroup


def test_schema_is_inferred_in_order_of_appearance():
    records = [
        {"id": 1, "ok": True, "size": 1, "tags": ["a"], "none": None, "mixed": 1, "huge": 2**63},
        {"id": 2, "ok": None, "size": 1.5, "tags": None, "none": None, "mixed": "x", "huge": 1, "late": "y"},
    ]
    schema = infer_schema(records)
    assert {field.name: sql_type_of(field) for field in schema} == {
        "id": "bigint", "ok": "boolean", "size": "double precision", "tags": "jsonb", "none": "jsonb",
        "mixed": "jsonb", "huge": "numeric(20,0)", "late": "text",
    }  # fmt: skip
    batch, rejected = to_batch(records, schema, refuse_unknown=True)
    assert not rejected
    assert batch.to_pylist()[1] == {
        "id": 2, "ok": None, "size": 1.5, "tags": None, "none": None, "mixed": '"x"', "huge": Decimal(1), "late": "y",
    }  # fmt: skip


def test_record_that_does_not_fit_is_set_aside(server, make):
    later = [{"id": "x", "name": "n"}, {"id": 2.5, "name": "n"}, {"id": 8, "new": 1}, "text", {"id": 9}]
    server.route(
        "/items",
        lambda seen: Reply(ROWS if seen.query["page"] == "1" else later if seen.query["page"] == "2" else []),
    )
    extractor = make(pagination={"type": "page"}, infer_records=5)
    assert [row["id"] for row in read(extractor)] == [1, 2, 3, 4, 5, 6, 7, 9]
    letters = extractor.context.dead_letters
    assert [letter.position for letter in letters] == [
        f"items page 2 (record {number})" for number in (1, 2, 3, 4)
    ]
    assert "'id' is not bigint" in letters[0].reason
    assert "unknown field 'new'" in letters[2].reason
    assert letters[3].payload == {"value": "text"}


def test_columns_are_cast_from_json_values():
    types = {
        "a": "numeric(12,2)", "b": "timestamptz", "c": "date", "d": "jsonb", "e": "uuid", "f": "text", "g": "bigint",
    }  # fmt: skip
    schema = pa.schema([sql_field(name, type_) for name, type_ in types.items()])
    uuid = "0b0e7cd8-4a0c-4f0e-9d5e-1f6f6f6f6f6f"
    good = {
        "a": "12.50", "b": "2026-01-01T10:00:00+02:00", "c": "2026-01-01", "d": {"x": [1]}, "e": uuid,
        "f": "t", "g": "5", "unknown": 1,
    }  # fmt: skip
    mixed = {"a": 1.25, "b": None, "c": None, "d": 7, "e": None, "f": {"x": 1}, "g": 6}
    bad = {"a": "much", "b": "yesterday", "c": 5, "e": "no", "g": 2**64}
    batch, rejected = to_batch([good, mixed, bad], schema, refuse_unknown=False)
    assert [each.index for each in rejected] == [2]
    assert all(f"'{name}' is not" in rejected[0].reason for name in "abceg")
    first, second = batch.to_pylist()
    assert first["a"] == Decimal("12.50")
    assert first["b"] == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert (first["d"], first["g"]) == ('{"x":[1]}', 5)
    assert (second["a"], second["d"], second["f"], second["g"]) == (Decimal("1.25"), "7", '{"x":1}', 6)


def test_random_mixes_never_crash_and_lose_nothing():
    rng = random.Random(7)
    values = [
        None,
        True,
        0,
        -1,
        2**63,
        2**64 - 1,
        1.5,
        1e300,
        "",
        "7",
        "x",
        "2026-01-01",
        [],
        [1, "a"],
        {},
        {"k": None},
    ]
    types = [
        "bigint",
        "integer",
        "double precision",
        "boolean",
        "text",
        "jsonb",
        "numeric(6,2)",
        "date",
        "timestamptz",
    ]
    for _ in range(200):
        schema = pa.schema([sql_field(f"c{place}", rng.choice(types)) for place in range(3)])
        records = [{f"c{place}": rng.choice(values) for place in range(3)} for _ in range(rng.randrange(6))]
        batch, rejected = to_batch(records, schema, refuse_unknown=False)
        assert batch.num_rows + len(rejected) == len(records)
        assert batch.schema.equals(schema, check_metadata=True)
        batch.validate(full=True)


def test_stream_without_records_cannot_be_inferred(server, make):
    server.route("/items", [Reply([])])
    with pytest.raises(InputError, match="write the columns"):
        list(make().streams())


def test_missing_primary_key_is_an_error(server, make):
    server.route("/items", [Reply(ROWS)])
    with pytest.raises(InputError, match="no record has nr"):
        list(make(stream={"primary_key": ["nr"]}).streams())


def test_pages_become_batches_of_the_wanted_size():
    schema = pa.schema([("n", pa.int64())])
    pages = [pa.RecordBatch.from_pylist([{"n": 1}] * rows, schema=schema) for rows in (3, 0, 11, 1, 4)]
    assert [batch.num_rows for batch in regroup(pages, 4)] == [4, 4, 4, 4, 3]
    assert [batch.num_rows for batch in regroup(pages, 100)] == [19]
    assert list(regroup([], 4)) == []


def test_unknown_stream_is_ours(make):
    with pytest.raises(DtegError):
        make()._source("other")

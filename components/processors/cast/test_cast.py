from datetime import date
from decimal import Decimal

import pytest
from pydantic import ValidationError

from dteg.core.errors import ConfigError, InputError
from dteg.core.types import sql_type
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch, make_context

from .cast import Cast, CastConfig

SAMPLES = [
    make_batch(id=["1", "x", "3"], day=["2026-01-01", None, "?"]),
    make_batch(id=["y"], day=["2026-02-30"]),
]
COLUMNS = {"id": "integer", "day": "date"}

TestCast = contract_tests(
    Cast, config={"columns": COLUMNS}, bad_config=[{"columns": {}}, {"on_error": "x"}], sample=SAMPLES
)
TestCastToNull = contract_tests(Cast, config={"columns": COLUMNS, "on_error": "null"}, sample=SAMPLES)


@pytest.fixture
def cast(tmp_path):
    return lambda columns, **config: Cast(CastConfig(columns=columns, **config), make_context(tmp_path))


def test_bad_rows_are_rejected_once_with_all_reasons(cast):
    processor = cast(COLUMNS)
    kept = [row for batch in SAMPLES for row in processor.process(batch).to_pylist()]
    assert kept == [{"id": 1, "day": date(2026, 1, 1)}]
    letters = [(letter.reason, letter.position, letter.payload) for letter in processor.context.dead_letters]
    assert letters == [
        ("column 'id' is not integer", "cast input (row 2)", {"id": "x", "day": None}),
        ("column 'day' is not date", "cast input (row 3)", {"id": "3", "day": "?"}),
        (
            "column 'id' is not integer; column 'day' is not date",
            "cast input (row 4)",
            {"id": "y", "day": "2026-02-30"},
        ),
    ]


def test_null_on_error_keeps_all_rows(cast):
    processor = cast(COLUMNS, on_error="null")
    assert processor.process(SAMPLES[0]).to_pydict() == {
        "id": [1, None, 3],
        "day": [date(2026, 1, 1), None, None],
    }
    assert processor.context.dead_letters == []


def test_fail_names_the_row_of_the_stream(cast):
    processor = cast({"id": "integer"}, on_error="fail")
    processor.process(SAMPLES[0].slice(0, 1))
    with pytest.raises(InputError, match=r"row 3\): column 'id' is not integer"):
        processor.process(make_batch(id=["5", "x"], day=["", ""]))


def test_sql_type_is_kept_for_the_loader(cast):
    schema = cast({"id": "JSONB"}).output_schema(SAMPLES[0].schema)
    assert sql_type(schema.field("id")) == "jsonb"


def test_numeric_is_rounded(cast):
    result = cast({"x": "numeric(6,2)"}).process(make_batch(x=["1.005", "-2"]))
    assert result.column(0).to_pylist() == [Decimal("1.01"), Decimal("-2.00")]


def test_impossible_cast_is_a_config_error(cast):
    with pytest.raises(ConfigError, match="timestamp_converter"):
        cast({"x": "timestamp"}).output_schema(make_batch(x=[1]).schema)


def test_unknown_type_has_a_near_miss():
    with pytest.raises(ValidationError, match='did you mean "integer"'):
        CastConfig(columns={"id": "intger"})

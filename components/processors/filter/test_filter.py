import contextlib
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.core.errors import ConfigError, InputError
from dteg.testing.contract import contract_tests
from dteg.testing.samples import make_batch, make_context

from .expression import Expression
from .filter import Filter, FilterConfig

FLIGHTS = make_batch(
    arr_delay=[20, 16, None, 5],
    carrier=["UA", "DL", "AA", "AA"],
    day=[date(2026, 1, 1), date(2026, 1, 2), None, date(2026, 1, 4)],
    at=[datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)],
    price=[Decimal("1.50"), Decimal("2.50"), None, Decimal("0.00")],
    late=[True, True, None, False],
)

TestFilter = contract_tests(
    Filter,
    config={"where": "arr_delay > 15 and carrier in ('UA','AA')"},
    bad_config=[{"where": ""}, {"where": "a ="}],
    sample=[FLIGHTS, FLIGHTS.slice(1)],
    drops_rows=True,
)


def rows(where, batch=FLIGHTS):
    mask = Expression(where).mask(batch)
    return [index for index, value in enumerate(mask.to_pylist()) if value]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("arr_delay > 15 and carrier in ('UA','AA')", [0]),
        ("arr_delay > 15 or carrier == 'AA'", [0, 1, 2, 3]),
        ("not arr_delay > 15", [3]),
        ("arr_delay is None", [2]),
        ("arr_delay is not None", [0, 1, 3]),
        ("is_null(arr_delay) or late", [0, 1, 2]),
        ("not (late and arr_delay > 100)", [0, 1, 3]),
        ("carrier not in ('UA', 'DL')", [2, 3]),
        ("arr_delay not in (5, 16)", [0]),
        ("5 < arr_delay <= 16", [1]),
        ("arr_delay * 2 - 1 == 39", [0]),
        ("arr_delay / 2 == 2.5", [3]),
        ("arr_delay / 0 > 1 or late", [0, 1]),
        ("-arr_delay < -15", [0, 1]),
        ("arr_delay in (-1, 5)", [3]),
        ("lower(carrier) == 'ua'", [0]),
        ("upper(carrier) == 'UA' and length(carrier) == 2", [0]),
        ("starts_with(carrier, 'A')", [2, 3]),
        ("day >= '2026-01-02'", [1, 3]),
        ("at < '2026-01-02T09:00:00+09:00'", [0]),
        ("day in ('2026-01-01', '2026-01-04')", [0, 3]),
        ("price > 1", [0, 1]),
        ("price == '2.5'", [1]),
        ("True", [0, 1, 2, 3]),
        ("1 > 2", []),
        ("late == False", [3]),
        ("carrier ==\n'UA'", [0]),
    ],
)
def test_three_valued_logic(where, expected):
    assert rows(where) == expected


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("arr_dely > 15", r"no column 'arr_dely'; did you mean \"arr_delay\"\? \(at character 1 "),
        ("late and arr_dely > 1", "at character 10 "),
        ("carrier = 'UA'", "write == for equal"),
        ("carrier == 'ü' and x == 1", "at character 20 "),
        ("__import__('os').system('true')", "unknown function"),
        ("carrier.__class__ == 1", "not allowed here"),
        ("[x for x in (1,2)] == 1", "not allowed here"),
        ("(lambda: 1)() == 1", "unknown function"),
        ("carrier[0] == 'U'", "not allowed here"),
        ("f'{carrier}' == 'U'", "not allowed here"),
        ("arr_delay ** 9 > 1", "not allowed here"),
        ("arr_delay == b'x'", "not allowed here"),
        ("carrier == None", "write: is None"),
        ("carrier is 'UA'", "after is: only None"),
        ("carrier in ('UA', None)", "none of them None"),
        ("carrier in carrier", "a list of values"),
        ("arr_delay", "not a condition"),
        ("arr_delay > carrier", "do not fit together"),
        ("arr_delay and late", "do not fit together"),
        ("(late, late)", "not allowed here"),
        ("lower(arr_delay) == 'x'", "do not fit together"),
        ("lower(carrier, 1) == 'x'", "takes 1 argument"),
        ("starts_with(carrier, carrier)", "must be a text in quotes"),
        ("lowr(carrier) == 'x'", 'did you mean "lower"'),
        ("day > 'soon'", "'soon' is not a value of type date"),
        ("arr_delay > 'x'", "is not a value of type int64"),
        ("(" * 1500 + "1" + ")" * 400, "parentheses|nested|never closed"),
        ("not " * 499 + "late", "nested too deeply"),
        ("a\x00b", "null bytes|NUL"),
        ("arr_delay > 99999999999999999999", "too large"),
        ("1" * 3000 + " == 1", "longer than"),
        (" or ".join(["late"] * 200) + " or x", "no column 'x'"),
    ],
)
def test_bad_expression_is_a_config_error(where, message):
    with pytest.raises(ConfigError, match=message):
        rows(where)


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_a_config_error(text):
    with contextlib.suppress(ConfigError, pa.ArrowInvalid):
        Expression(text).mask(FLIGHTS)


@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=20), st.integers(-3, 3))
def test_condition_and_its_negation_leave_only_nulls(values, limit):
    batch = pa.RecordBatch.from_arrays([pa.array(values, pa.int64())], names=["x"])
    kept = {*rows(f"x > {limit}", batch), *rows(f"not x > {limit}", batch)}
    assert kept == {index for index, value in enumerate(values) if value is not None}


def test_overflow_is_an_input_error(tmp_path):
    processor = Filter(FilterConfig(where="x * x > 0"), make_context(tmp_path))
    with pytest.raises(InputError, match="overflow"):
        processor.process(make_batch(x=[2**62]))


def test_dropped_rows_are_no_dead_letters(tmp_path):
    processor = Filter(FilterConfig(where="arr_delay > 15"), make_context(tmp_path))
    assert processor.process(FLIGHTS).num_rows == 2
    assert processor.context.dead_letters == []


def test_nan_is_greater_than_nothing():
    assert rows("x > 1", make_batch(x=[math.nan, 2.0])) == [1]

# ruff: noqa: DTZ001 - timestamps without time zone are a SQL type
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.core.batch import field
from dteg.core.errors import ConfigError
from dteg.core.types import (
    arrow_type,
    canonical,
    cast_array,
    check_castable,
    parse_sql_type,
    sql_field,
    sql_type,
)

AT = datetime(2026, 1, 1, 10)
AT_UTC = AT.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "arrow", "usual"),
    [
        ("INT8", pa.int64(), "bigint"),
        ("int", pa.int32(), "integer"),
        ("Numeric( 15 , 2 )", pa.decimal128(15, 2), "numeric(15,2)"),
        ("decimal(5)", pa.decimal128(5, 0), "numeric(5,0)"),
        ("numeric(50,3)", pa.decimal256(50, 3), "numeric(50,3)"),
        ("numeric", pa.string(), "numeric"),
        ("numeric(1000,2)", pa.string(), "numeric(1000,2)"),
        ("numeric(2,5)", pa.string(), "numeric(2,5)"),
        ("float(10)", pa.float32(), "real"),
        ("float", pa.float64(), "double precision"),
        ("character varying(10)", pa.string(), "varchar(10)"),
        ("timestamp(3) with time zone", pa.timestamp("us", "UTC"), "timestamptz(3)"),
        ("timestamp without time zone", pa.timestamp("us"), "timestamp"),
        ("timetz", pa.string(), "timetz"),
        ("int[]", pa.string(), "integer[]"),
        ("bit varying(3)", pa.string(), "bit varying(3)"),
        ("jsonb", pa.string(), "jsonb"),
    ],
)
def test_names_and_aliases(name, arrow, usual):
    assert (arrow_type(name), canonical(name)) == (arrow, usual)
    assert sql_type(sql_field("x", name)) == usual


@pytest.mark.parametrize("name", ["intger", "", "numeric(a)", "int; drop table x", "mood"])
def test_unknown_type_is_a_config_error(name):
    with pytest.raises(ConfigError):
        parse_sql_type(name)
    assert canonical(name) == name
    assert arrow_type(name, unknown=pa.string()) == pa.string()


def test_near_miss():
    with pytest.raises(ConfigError, match='did you mean "integer"'):
        arrow_type("intger")


@pytest.mark.parametrize(
    ("arrow", "expected"),
    [
        (pa.uint64(), "numeric(20,0)"),
        (pa.uint16(), "integer"),
        (pa.dictionary(pa.int8(), pa.int64()), "bigint"),
        (pa.timestamp("ns", "Asia/Seoul"), "timestamptz"),
        (pa.list_(pa.int64()), "jsonb"),
        (pa.large_string(), "text"),
        (pa.null(), "text"),
        (pa.duration("s"), "interval"),
        (pa.binary(3), "bytea"),
    ],
)
def test_sql_type_of_arrow(arrow, expected):
    assert sql_type(pa.field("x", arrow)) == expected


def test_the_type_a_field_carries_wins():
    assert sql_type(field("x", pa.string(), sql_type="uuid")) == "uuid"


BAD = object()  # stands for a value that does not fit


@pytest.mark.parametrize(
    ("type_", "cases"),
    [
        ("bigint", {"1": 1, " +5 ": 5, "-7": -7, "9223372036854775808": BAD, "1.5": BAD, "0x1f": BAD, "": BAD, "\u0661": BAD}),
        ("smallint", {"32767": 32767, "32768": BAD, "-32769": BAD}),
        ("numeric(6,2)", {"1.005": Decimal("1.01"), "-1.005": Decimal("-1.01"), "1e3": Decimal(1000), "9999.995": BAD,
                          "+.5": Decimal("0.5"), "10000": BAD, "nan": BAD}),
        ("double", {"1.5": 1.5, "-inf": -math.inf, "1e999": BAD, "0x1p3": BAD, "5.": 5.0, "1_0": BAD}),
        ("real", {"1e39": BAD, "0.5": 0.5}),
        ("boolean", {"Yes": True, "f": False, "1": True, "maybe": BAD}),
        ("date", {"2024-02-29": date(2024, 2, 29), "2023-02-29": BAD, "0000-00-00": BAD, "2024-01-01 10:00": BAD}),
        ("time", {"10:00": time(10), "10:00:00.1234567": time(10, 0, 0, 123456), "24:00": BAD, "10": BAD}),
        ("timestamp", {"2026-01-01T10:00": AT, "2026-01-01 10:00:00Z": BAD, "2026-01-01": datetime(2026, 1, 1)}),
        ("timestamptz", {"2026-01-01 19:00+09": AT_UTC, "2026-01-01 10:00": AT_UTC, "2026-01-01T04:30:00-0530": AT_UTC,
                         "2026-01-01T10:00:00Z": AT_UTC, "2026-02-30 10:00": BAD, "now": BAD}),
        ("jsonb", {'{"a": [1]}': '{"a": [1]}', "null": "null", "{a}": BAD, "": BAD}),
        ("uuid", {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "x": BAD}),
        ("varchar(3)", {"äöü": "äöü", "abcd": BAD}),
        ("numeric", {"1e400": "1e400", "NaN": "NaN", "x": BAD}),
        ("bytea", {"ab": b"ab"}),
        ("inet", {"whatever": "whatever"}),
    ],
)  # fmt: skip
def test_texts(type_, cases):
    result, bad = cast_array(pa.array([*cases, None]), sql_field("x", type_))
    assert result.to_pylist() == [None if value is BAD else value for value in [*cases.values(), None]]
    assert bad.to_pylist() == [value is BAD for value in [*cases.values(), None]]


@pytest.mark.parametrize(
    ("source", "values", "type_", "expected"),
    [
        (pa.int64(), [2**31, -(2**31)], "integer", [BAD, -(2**31)]),
        (pa.uint64(), [2**63, 1], "bigint", [BAD, 1]),
        (
            pa.float64(),
            [1.5, 2.0, math.nan, math.inf, 2.0**63, -(2.0**63)],
            "bigint",
            [BAD, 2, BAD, BAD, BAD, -(2**63)],
        ),
        (
            pa.decimal128(8, 2),
            [Decimal("1.50"), Decimal("2.00"), Decimal("99999.00")],
            "smallint",
            [BAD, 2, BAD],
        ),
        (pa.decimal128(8, 3), [Decimal("1.255"), Decimal("99.999")], "numeric(4,2)", [Decimal("1.26"), BAD]),
        (pa.int64(), [1, 10**6], "numeric(5,1)", [Decimal(1), BAD]),
        (pa.float64(), [1.25, math.nan, 1e20, -math.inf], "numeric(4,1)", [Decimal("1.3"), BAD, BAD, BAD]),
        (
            pa.float64(),
            [1.005, 1e-300, 1.2345678901234567e-16, None],
            "numeric(4,2)",
            [Decimal("1.01"), 0, 0, None],
        ),
        (pa.int64(), [2**53 + 1], "double", [float(2**53)]),
        (pa.float64(), [1e300, math.inf], "real", [BAD, math.inf]),
        (pa.int64(), [0, 1, 2], "boolean", [False, True, BAD]),
        (pa.bool_(), [True, False], "numeric(3,1)", [Decimal(1), Decimal(0)]),
        (pa.timestamp("ns"), [1500], "timestamp", [datetime(1970, 1, 1, 0, 0, 0, 1)]),
        (pa.timestamp("us", "Asia/Seoul"), [AT_UTC], "timestamptz", [AT_UTC]),
        (pa.date32(), [date(2026, 1, 1)], "timestamp", [datetime(2026, 1, 1)]),
        (pa.binary(), [b"\xff", b"a"], "text", [BAD, "a"]),
        (pa.dictionary(pa.int8(), pa.string()), ["5", "x"], "integer", [5, BAD]),
        (pa.large_string(), ["5"], "integer", [5]),
        (pa.list_(pa.int64()), [[1, 2], None], "jsonb", ["[1,2]", None]),
        (pa.null(), [None], "uuid", [None]),
        (pa.null(), [None], "boolean", [None]),
        (pa.int64(), [5], "text", ["5"]),
        (pa.int64(), [5], "uuid", [BAD]),
    ],
)
def test_other_types(source, values, type_, expected):
    result, bad = cast_array(pa.array(values, source), sql_field("x", type_))
    assert result.to_pylist() == [None if value is BAD else value for value in expected]
    assert bad.to_pylist() == [value is BAD for value in expected]


@pytest.mark.parametrize(
    ("source", "type_"),
    [(pa.int64(), "timestamp"), (pa.date32(), "integer"), (pa.time64("us"), "date"), (pa.bool_(), "date")],
)
def test_casts_that_make_no_sense_are_refused(source, type_):
    with pytest.raises(ConfigError, match="cannot be cast"):
        check_castable(source, sql_field("x", type_))


def test_a_type_of_one_database_is_left_to_it():
    result, bad = cast_array(pa.array(["happy"]), field("x", pa.string(), sql_type="mood"))
    assert (result.to_pylist(), bad.to_pylist()) == (["happy"], [False])


@pytest.mark.parametrize(
    "type_", ["bigint", "numeric(10,2)", "double", "date", "timestamptz", "boolean", "time", "uuid"]
)
@given(
    values=st.lists(
        st.one_of(st.none(), st.text(alphabet="0123456789+-.:eETZ aftrue", max_size=12)), max_size=8
    )
)
def test_any_text_fits_or_is_marked(type_, values):
    array = pa.array(values, pa.string())
    result, bad = cast_array(array, sql_field("x", type_))
    result.validate(full=True)
    assert result.type == arrow_type(type_)
    for given_, value, is_bad in zip(values, result.to_pylist(), bad.to_pylist(), strict=True):
        assert is_bad == (given_ is not None and value is None)


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=8))
def test_integers_survive_text(values):
    text, _ = cast_array(pa.array(values, pa.int64()), sql_field("x", "text"))
    again, bad = cast_array(text, sql_field("x", "bigint"))
    assert again.to_pylist() == values
    assert not any(bad.to_pylist())

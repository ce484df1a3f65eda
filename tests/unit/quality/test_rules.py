import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dteg.quality import (
    AcceptedValues,
    FormatCheck,
    NullCheck,
    RangeCheck,
    Rule,
    SchemaValidation,
    Unique,
    check_names,
)
from dteg.quality.rules import as_number

pytestmark = pytest.mark.unit
RULE = TypeAdapter(Rule)


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "null_check", "columns": ["id", "email"]},
        {"type": "format_check", "column": "email", "pattern": "^[^@]+@[^@]+$", "severity": "warn"},
        {"type": "range", "column": "x", "min": 0},
        {"type": "range", "column": "d", "min": "2024-01-01", "max": "2024-12-31"},
        {"type": "accepted_values", "column": "c", "values": ["a", 1, 2.5, True]},
        {"type": "unique", "columns": ["a", "b"], "max_failing_ratio": 0.01},
        {"type": "record_count_match", "against": "source", "tolerance": 0.01},
        {"type": "record_count_match", "expected": 0},
        {"type": "data_freshness", "column": "at", "max_age": "26h"},
        {"type": "schema_validation", "columns": {"id": "bigint"}, "allow_extra": False, "table": "raw.x"},
    ],
)
def test_each_type_is_read_and_written_back(raw):
    rule = RULE.validate_python(raw)
    assert rule.type == raw["type"]
    assert RULE.validate_python(RULE.dump_python(rule)) == rule
    assert raw.items() <= RULE.dump_python(rule).items()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"type": "nul_check", "columns": ["id"]}, "nul_check"),
        ({"columns": ["id"]}, "type"),
        ({"type": "null_check", "columns": []}, "at least 1"),
        ({"type": "null_check", "columns": ["a", "a"]}, "twice"),
        ({"type": "null_check", "columns": ["a\x00"]}, "NUL"),
        ({"type": "null_check", "columns": ["x" * 64]}, "63"),
        ({"type": "null_check", "columns": ["a"], "colum": 1}, "colum"),
        ({"type": "null_check", "columns": ["a"], "max_failing": 1, "max_failing_ratio": 0.1}, "either"),
        ({"type": "null_check", "columns": ["a"], "max_failing": -1}, "greater"),
        ({"type": "null_check", "columns": ["a"], "max_failing_ratio": 1.1}, "less"),
        ({"type": "null_check", "columns": ["a"], "severity": "fatal"}, "error"),
        ({"type": "null_check", "columns": ["a"], "name": "a b"}, "pattern"),
        ({"type": "null_check", "columns": ["a"], "table": "a.b.c"}, "3 parts"),
        ({"type": "format_check", "column": "a", "pattern": "["}, "regular expression"),
        ({"type": "range", "column": "a"}, "min, max or both"),
        ({"type": "range", "column": "a", "min": 2, "max": 1}, "greater"),
        ({"type": "range", "column": "a", "min": 2, "max": "3"}, "kinds"),
        ({"type": "range", "column": "a", "min": float("nan")}, "finite"),
        ({"type": "range", "column": "a", "min": True}, "min"),
        ({"type": "accepted_values", "column": "a", "values": []}, "at least 1"),
        ({"type": "accepted_values", "column": "a", "values": [None]}, "values"),
        ({"type": "accepted_values", "column": "a", "values": ["\x00"]}, "NUL"),
        ({"type": "record_count_match"}, "either"),
        ({"type": "record_count_match", "expected": 1, "against": "source"}, "either"),
        ({"type": "record_count_match", "expected": 1, "tolerance": 2}, "less"),
        ({"type": "record_count_match", "expected": 1, "max_failing": 2}, "max_failing"),
        ({"type": "data_freshness", "column": "a", "max_age": "26"}, "26h"),
        ({"type": "data_freshness", "column": "a", "max_age": "0s"}, "no time"),
        ({"type": "schema_validation", "columns": {}}, "at least 1"),
    ],
)
def test_wrong_rules_are_refused_with_a_reason(raw, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        RULE.validate_python(raw)


def test_every_field_has_a_description():
    schema = RULE.json_schema()
    for model in schema["$defs"].values():
        for name, field in model["properties"].items():
            assert field.get("description"), (model["title"], name)


def test_names_come_from_type_and_columns():
    rules = [
        NullCheck(columns=["id", "email"]),
        FormatCheck(column="first name", pattern="a"),
        SchemaValidation(columns={"id": "int"}),
        RangeCheck(column="x", min=0),
        RangeCheck(column="x", max=1),
        Unique(columns=["id"], name="range_x_2"),
    ]
    assert check_names(rules) == [
        "null_check_id_email",
        "format_check_first_name",
        "schema_validation",
        "range_x",
        "range_x_3",
        "range_x_2",
    ]


def test_names_of_columns_in_other_scripts_stay_apart_in_any_order():
    one, two = NullCheck(columns=["이름"]), NullCheck(columns=["주소"])
    assert check_names([one, two]) == check_names([two, one])[::-1]
    assert len(set(check_names([one, two]))) == 2


column_names = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=15
)


@given(
    st.lists(
        st.one_of(
            st.lists(column_names, min_size=1, max_size=5, unique=True).map(
                lambda columns: NullCheck(columns=columns)
            ),
            st.sampled_from(["a", "null_check_a", "x" * 63]).map(
                lambda name: NullCheck(columns=["a"], name=name)
            ),
        ),
        max_size=12,
    )
)
def test_names_are_unique_short_plain_and_stable(rules):
    names = check_names(rules)
    assert len(names) == len(rules) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,63}", name) for name in names)
    assert names == check_names(rules)


def test_values_keep_their_kind():
    assert [type(value) for value in AcceptedValues(column="c", values=[True, 1, 1.0, "1"]).values] == [
        bool,
        int,
        float,
        str,
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "1"),
        (0.1, "0.1"),
        ("1e3", "1E+3"),
        (True, "None"),
        ("x", "None"),
        ("NaN", "None"),
        ("inf", "None"),
    ],
)
def test_numbers_are_taken_as_they_are_written(value, expected):
    assert str(as_number(value)) == expected

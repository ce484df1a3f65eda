"""Values as people and files write them."""

import pytest

from dteg.dictionaries.values import check_key, parse


@pytest.mark.parametrize(
    ("value", "type_", "expected"),
    [
        ("Korea", "text", "Korea"), (" a ", "text", " a "), (7, "text", "7"), (7.0, "text", "7"), (True, "text", "true"),
        ("", "text", None), (None, "text", None), ("  ", "text", "  "), ("  ", "integer", None), ("", "date", None),
        ("42", "integer", "42"), (42.0, "integer", "42"), (" -7 ", "integer", "-7"), ("+7", "integer", "7"),
        (9_223_372_036_854_775_807, "integer", "9223372036854775807"),
        ("12.50", "numeric", "12.50"), (0.1, "numeric", "0.1"), ("1e3", "numeric", "1000"), (12, "numeric", "12"),
        ("yes", "boolean", "true"), (False, "boolean", "false"), ("0", "boolean", "false"), (1, "boolean", "true"),
        ("2026-03-31", "date", "2026-03-31"), ("2026-03-31 00:00:00", "date", "2026-03-31"),
        ("2026-03-31 17:05", "timestamptz", "2026-03-31T17:05:00+00:00"),
        ("2026-03-31T17:05:00+02:00", "timestamptz", "2026-03-31T15:05:00+00:00"),
        ("2026-03-31", "timestamptz", "2026-03-31T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_value_is_read_as_its_type(value, type_, expected):
    assert parse(value, type_) == expected


@pytest.mark.parametrize(
    ("value", "type_", "said"),
    [
        ("forty", "integer", "'forty' is no whole number, such as 42"), ("4.5", "integer", "no whole number"),
        (True, "integer", "no whole number"), (9_223_372_036_854_775_808, "integer", "no whole number"),
        ("٤٢", "integer", "no whole number"), ("1_000", "integer", "no whole number"),
        ("12,50", "numeric", "with a point, not a comma"), ("nan", "numeric", "is no number"),
        ("Infinity", "numeric", "is no number"), ("1e999999999", "numeric", "more than 100 digits"),
        ("1" * 101, "numeric", "more than 100 digits"), ("1_0", "numeric", "is no number"),
        ("maybe", "boolean", "neither true nor false"), (2, "boolean", "neither true nor false"),
        ("31.3.2026", "date", "no date, such as 2026-03-31"), ("2026-02-30", "date", "no date"),
        ("2026-03-31 17:05", "date", "a time, not only a date"), ("2026-03-31T00:00:00+02:00", "date", "a time"),
        ("noon", "timestamptz", "no time, such as"), ("0001-01-01T00:00:00+14:00", "timestamptz", "no time"),
        ("a\0b", "text", "NUL"), ("x" * 10_001, "text", "10,001 characters"), ("\ud800", "text", "half a character"),
        ({"a": 1}, "text", "a list or an object"), ([1], "integer", "a list or an object"),
    ],
)  # fmt: skip
def test_what_is_not_of_the_type_is_refused_with_a_remedy(value, type_, said):
    with pytest.raises(ValueError, match=said):
        parse(value, type_)


@pytest.mark.parametrize(
    ("key", "said"),
    [(None, "each row needs one"), ("DE ", "begins or ends with a blank"), ("x" * 2_001, "2,000")],
)
def test_key_that_could_not_be_looked_up_is_refused(key, said):
    with pytest.raises(ValueError, match=said):
        check_key(key)
    assert check_key("DE") == "DE"

from types import SimpleNamespace

import pytest

from dteg.tables.where import parse_where
from studio.row_filter import HOWS, plain_refusal, sort_address, with_chosen

TYPES = {
    "total": "numeric(12,2)",
    "name": "text",
    "at": "timestamp with time zone",
    'a "b" or 🍕': "character varying(20)",
}
COLUMNS = [SimpleNamespace(name=name, type=kind) for name, kind in TYPES.items()]


def chosen(column, how, value="", where=""):
    return with_chosen(where, {"column": column, "how": how, "value": value}, COLUMNS)


@pytest.mark.parametrize(
    ("column", "how", "value", "condition"),
    [
        ("total", "least", "18", "\"total\" >= '18'"),
        ("name", "is", "O'Hara", "\"name\" = 'O''Hara'"),
        ("name", "has", r"50%_\ ", "\"name\" ilike '%50\\%\\_\\\\%'"),
        ("name", "begins", "A", "\"name\" ilike 'A%'"),
        ("name", "not", "x", '"name" != \'x\' or "name" is null'),
        ("total", "empty", "ignored", '"total" is null'),
        ("name", "filled", "", '"name" is not null and "name" != \'\''),
        ("at", "is", "2026-02-28", "\"at\" >= '2026-02-28' and \"at\" < '2026-03-01'"),
        ("at", "most", "2026-02-28", "\"at\" < '2026-03-01'"),
        ("at", "more", "2026-02-28 10:00", "\"at\" > '2026-02-28 10:00'"),
    ],
)
def test_what_is_chosen_becomes_a_condition(column, how, value, condition):
    assert chosen(column, how, value) == condition


@pytest.mark.parametrize("how", [how for how, _ in HOWS])
@pytest.mark.parametrize("column", TYPES)
def test_whatever_is_chosen_is_a_condition_and_adds_to_the_one_before(column, how):
    first = chosen(column, how, 'it\'s 2026-01-01 or "x" -- ;')
    both = chosen("name", "not", "y", where=first)
    before = parse_where(first, TYPES, "t")
    assert len(parse_where(both, TYPES, "t").values) == len(before.values) + 1
    assert both.endswith(' and ("name" != \'y\' or "name" is null)')


def test_an_unknown_column_or_comparison_adds_nothing():
    assert chosen("nope", "is", "1", where="total > 1") == "total > 1"
    assert chosen("total", "nope", "1") == ""


def test_a_value_that_does_not_fit_is_told_in_plain_words():
    told = plain_refusal(
        'where: invalid input syntax for type numeric: "abc" (at character 12 of the condition)'
    )
    assert told == "“abc” does not fit: the column holds numbers"
    told = plain_refusal(
        'where: date/time field value out of range: "31.12.2026" (at character 9 of the condition)'
    )
    assert "such as 2026-12-31" in told
    assert plain_refusal("where: t has no column 'x'") == "where: t has no column 'x'"


def test_a_column_is_sorted_by_with_what_else_is_shown():
    address = sort_address("/datasets/sales", {"where": "a = 'b&c'"}, "order")
    assert address("-total") == "/datasets/sales?where=a+%3D+%27b%26c%27&order=-total#rows"

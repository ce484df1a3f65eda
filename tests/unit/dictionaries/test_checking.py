"""Rows and definitions checked before they come near the database."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from dteg.dictionaries.checking import MAX_PROBLEMS, check_columns, check_rows
from dteg.dictionaries.files import matched, plain_name
from dteg.dictionaries.models import Dictionary, DictionaryColumn, NewDictionary, RowProblem

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_dictionary(**types):
    columns = [DictionaryColumn(name=name, type=type_) for name, type_ in types.items()]
    return Dictionary(
        slug="countries", title="Countries", key=columns[0].name, columns=columns, rows=0, version=0, created_at=NOW,
        changed_at=NOW, table="dict.countries",
    )  # fmt: skip


def test_each_bad_value_is_told_with_row_key_and_column():
    countries = make_dictionary(code="text", people="integer", since="date")
    rows = [
        {"code": "DE", "people": "83", "since": "1990-10-03"},
        {"code": "KR", "people": "many", "since": "soon"},
        {"code": "", "people": "1", "since": None},
        {"code": "DE", "people": "84", "since": None},
    ]
    found = check_rows(countries, ["people", "since", "code"], rows)
    assert found.columns == ["code", "people", "since"]
    assert [(each.row, each.key, each.column) for each in found.problems] == [
        (2, "KR", "people"), (2, "KR", "since"), (3, "", "code"), (4, "DE", "code"),
    ]  # fmt: skip
    assert str(found.problems[0]).startswith("row 2 (KR), column people: 'many' is no whole number")
    assert "the same key as in row 1" in found.problems[3].message


def test_good_rows_become_texts_with_the_key_first():
    countries = make_dictionary(code="text", people="integer")
    found = check_rows(
        countries, ["people", "code"], [{"code": "DE", "people": 83.0}, {"code": "KR", "people": ""}]
    )
    assert (found.rows, found.problem_count) == ([["DE", "83"], ["KR", None]], 0)


def test_many_problems_are_counted_but_not_all_kept():
    countries = make_dictionary(code="text", people="integer")
    found = check_rows(countries, ["code", "people"], [{"code": f"c{n}", "people": "x"} for n in range(500)])
    assert (len(found.problems), found.problem_count) == (MAX_PROBLEMS, 500)


def test_columns_that_are_not_there_and_a_missing_key_are_told():
    countries = make_dictionary(code="text", people="integer")
    problems = check_columns(countries, ["peple"])
    assert [each.column for each in problems] == ["peple", "code"]
    assert "people" in problems[0].message
    assert check_columns(countries, ["code"]) == []


def test_header_of_a_file_is_matched_by_what_it_means():
    countries = make_dictionary(code="text", country_name="text")
    assert matched(countries, ["CODE", "Country Name", "area", "code"]) == {
        "CODE": "code", "Country Name": "country_name", "area": "area", "code": "code",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "name"),
    [("Country Name", "country_name"), ("  Price (EUR) ", "price_eur"), ("2026", "c_2026"), ("Größe", "gr_e"), ("?", "")],
)  # fmt: skip
def test_names_of_columns_are_made_from_headers(header, name):
    assert plain_name(header) == name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "name"}, "none of the columns"),
        ({"columns": [{"name": "code"}, {"name": "code"}]}, "two columns are called 'code'"),
        ({"columns": [{"name": "code", "type": "boolean"}]}, "the key is of type boolean"),
        ({"columns": [{"name": 'co"de'}], "key": 'co"de'}, "should match pattern"),
        ({"columns": []}, "at least 1 item"),
        ({"slug": "new"}, "the name of a page"),
        ({"slug": 'x"; DROP TABLE y; --'}, "should match pattern"),
        ({"slug": "Countries"}, "should match pattern"),
        ({"slug": "x" * 42}, "should match pattern"),
    ],
)
def test_definition_that_cannot_be_is_refused(changes, said):
    values = {"slug": "countries", "key": "code", "columns": [{"name": "code"}], **changes}
    with pytest.raises(ValidationError, match=said):
        NewDictionary.model_validate(values)


def test_problem_of_a_whole_file_has_no_row():
    assert str(RowProblem(message="no columns")) == "no columns"
    assert str(RowProblem(column="code", message="is missing")) == "column code: is missing"

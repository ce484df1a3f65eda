"""The grid of a dictionary as a form: what comes back is compared with what was shown."""

import json
from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError, Problem
from dteg.dictionaries.models import Dictionary, DictionaryColumn
from studio.dictionaries.grid import grid_of, laid_over, read_form, rows_per_page, with_errors

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def countries():
    columns = [
        DictionaryColumn(name="name"),
        DictionaryColumn(name="code"),
        DictionaryColumn(name="eu", type="boolean"),
    ]
    return Dictionary(
        slug="countries", title="Countries", key="code", columns=columns, rows=2, version=3, created_at=NOW,
        changed_at=NOW, table="dict.countries",
    )  # fmt: skip


def form_of(grid, **typed):
    """Return what a browser sends for a grid, with other texts in some fields (`r0_name` for `r0.name`)."""
    sent = {}
    for row in grid:
        sent[f"o{row.number}"] = row.original
        for cell in row.cells:
            sent[f"r{row.number}.{cell.column.name}"] = cell.text.replace("\n", "\r\n")
    for name, text in typed.items():
        sent[name.replace("_", ".", 1)] = text
    return {name: text for name, text in sent.items() if text is not None}


ROWS = [["Germany", "DE", True], ["South\nKorea ", "KR", None]]


def test_untouched_grid_changes_nothing_whatever_blanks_and_line_breaks_its_values_have(countries):
    sent = read_form(countries, form_of(grid_of(countries, ROWS)))
    assert (sent.put, sent.delete) == ([], [])


def test_only_changed_values_are_put(countries):
    sent = read_form(countries, form_of(grid_of(countries, ROWS), r0_eu="", r1_name="Korea"))
    assert sent.put == [{"code": "DE", "eu": None}, {"code": "KR", "name": "Korea"}]
    assert (sent.delete, sent.new) == ([], [])


def test_new_row_is_put_whole_and_must_be_new(countries):
    sent = read_form(countries, form_of(grid_of(countries, ROWS), r2_code="FR", r2_name="France"))
    assert sent.put == [{"code": "FR", "name": "France", "eu": None}]
    assert (sent.delete, sent.new) == ([], ["FR"])


def test_another_key_is_another_row(countries):
    sent = read_form(countries, form_of(grid_of(countries, ROWS), r0_code="D"))
    assert sent.put == [{"code": "D", "name": "Germany", "eu": "true"}]
    assert (sent.delete, sent.new) == (["DE"], ["D"])


def test_row_to_delete_is_deleted_whatever_else_was_typed(countries):
    sent = read_form(countries, form_of(grid_of(countries, ROWS), d0="yes", r0_name="x"))
    assert (sent.put, sent.delete) == ([], ["DE"])


def test_rows_that_a_script_has_left_out_stay(countries):
    form = {
        name: text
        for name, text in form_of(grid_of(countries, ROWS)).items()
        if not name.startswith(("o0", "r0"))
    }
    sent = read_form(countries, {**form, "r1.name": "Korea"})
    assert sent.put == [{"code": "KR", "name": "Korea"}]


@pytest.mark.parametrize("original", ["{", "[1]", '["DE"]', '["DE", "Germany", 1]'])
def test_form_of_other_columns_is_refused(countries, original):
    with pytest.raises(ConfigError, match="columns were changed meanwhile"):
        read_form(countries, {"o0": original, "r0.code": "X"})


def test_what_is_wrong_stands_beside_its_cell_and_what_was_typed_stays(countries):
    grid = grid_of(countries, ROWS)
    sent = read_form(countries, form_of(grid, r1_eu="perhaps", r3_code="FR"))
    error = ConfigError(
        [Problem("neither", path="rows[0].eu"), Problem("taken", path="rows[1].code"), Problem("all")]
    )
    typed, others = with_errors(sent, error)
    shown = laid_over(grid, typed)
    errors = [
        (row.label, cell.column.name, cell.text, cell.error)
        for row in shown
        for cell in row.cells
        if cell.error
    ]
    assert errors == [("KR", "eu", "perhaps", "neither"), ("new row", "code", "FR", "taken")]
    assert others == ["all"]
    assert [row.number for row in shown] == list(range(len(shown)))


def test_rows_typed_on_another_page_are_shown_too(countries):
    other = read_form(
        countries,
        {"o9": json.dumps(["FR", "France", ""]), "r9.code": "FR", "r9.name": "La France", "r9.eu": ""},
    )
    shown = laid_over(grid_of(countries, ROWS), other.rows)
    assert [row.label for row in shown if row.original] == ["DE", "KR", "FR"]
    assert shown[2].cells[1].text == "La France"


def test_wide_dictionaries_have_fewer_rows_on_a_page(countries):
    wide = countries.model_copy(update={"columns": [DictionaryColumn(name=f"c{n}") for n in range(50)]})
    assert rows_per_page(countries) == 50
    assert rows_per_page(wide) * 52 < 1_000

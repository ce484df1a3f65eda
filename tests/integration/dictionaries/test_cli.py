"""`dteg dictionary`: what the guide does not show."""

import json

import pytest

from dteg.cli.main import run_app

pytestmark = pytest.mark.integration


@pytest.fixture
def run(studio_project, capsys):
    def command(*words, code=0):
        assert run_app(["dictionary", *words]) == code, capsys.readouterr().err
        captured = capsys.readouterr()
        return captured.out + captured.err

    return command


def test_made_from_a_file_with_another_type_and_a_column_more(run, tmp_path):
    (tmp_path / "regions.csv").write_text("Region Code,Area\n7,1.5\n8,2\n")
    out = run("create", "regions", "region_code=text", "note=text", "--from", str(tmp_path / "regions.csv"))
    assert "made regions with 2 rows: looked up by region_code, 3 columns" in out
    assert json.loads(run("show", "regions", "--json"))["rows"] == [["7", "1.5", None], ["8", "2", None]]
    assert "more: --after 7" in run("show", "regions", "--limit", "1")


def test_rows_columns_and_the_whole_are_deleted(run):
    run("create", "colours", "code=integer", "name=text")
    assert "added" in run("set", "colours", "code=1", "name=red")
    assert "just so already" in run("set", "colours", "code=1", "name=red")
    assert "colours has code, name, rgb" in run("add-column", "colours", "rgb=text")
    assert "deleted 1 of 2 rows" in run("unset", "colours", "1", "2")
    assert json.loads(run("list", "--json"))[0]["rows"] == 0
    assert "add --yes" in run("remove", "colours", code=2)
    assert "deleted colours" in run("remove", "colours", "--yes")
    assert "no dictionary 'colours'" in run("show", "colours", code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "x"], "name the columns"),
        (["create", "x", "code"], "is not NAME=VALUE"),
        (["create", "x", "code=money"], "columns.0.type"),
        (["create", "X", "code=text"], "slug"),
        (["create", "x", "code=text", "--key", "name"], "the key 'name' is none of the columns"),
        (["create", "x", "--from", "nowhere.csv"], "cannot be read"),
    ],
)
def test_what_does_not_fit_is_told(run, words, said):
    assert said in run(*words, code=2)

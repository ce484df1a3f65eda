"""`dteg table ...` and its short words: what they print, ask and refuse."""

import io
import json
import subprocess
import sys

import openpyxl
import psycopg
import pytest

DTEG = [sys.executable, "-c", "from dteg.cli import main; main()"]
CSV = "id,name\n1,Ada\n2,Alan\n3,Grace\n"


@pytest.fixture
def home(shell):
    """A shell in an empty project with a CSV file."""
    (shell.folder / "pipelines").mkdir()
    (shell.folder / "people.csv").write_text(CSV)
    return shell


def test_create_makes_a_table_and_says_what(home):
    done = home("create", "people.csv", "people", "--key", "id")
    assert done.stdout.startswith("made public.people: 3 rows, 2 columns, ")
    assert "public.people: 3 read, 3 written" in done.stderr
    lines = home("tables").stdout.splitlines()
    assert lines[0].split() == ["table", "rows", "size", "columns", "kind"]
    assert lines[1].split()[:2] == ["public.people", "3"]
    shown = home("table", "show", "people").stdout
    assert shown.startswith("public.people: table, 3 rows, ")
    assert ["id", "bigint", "no", "yes"] in [line.split() for line in shown.splitlines()]


def test_json_is_for_programs(home):
    made = json.loads(home("table", "create", "people.csv", "a.people", "--json").stdout)
    assert (made["table"], made["rows_written"], made["columns"]) == (
        "a.people",
        3,
        {"id": "bigint", "name": "text"},
    )
    (listed,) = json.loads(home("table", "list", "a", "--json").stdout)
    assert (listed["table"], listed["rows"], listed["rows_are_exact"]) == ("a.people", 3, True)
    assert json.loads(home("table", "show", "a.people", "--json").stdout)["column_count"] == 3


def test_create_refuses_replaces_appends(home):
    home("create", "people.csv", "people")
    refused = home("create", "people.csv", "people", code=1).stderr
    assert (
        "public.people is there already; use --replace to exchange its rows, --append to add to them"
        in refused
    )
    assert home("create", "people.csv", "people", "--append").stdout.startswith(
        "added to public.people: 3 rows"
    )
    assert home("create", "people.csv", "people", "--replace").stdout.startswith(
        "replaced public.people: 3 rows"
    )
    assert len(json.loads(home("read", "people", "--format", "json").stdout)) == 3
    assert (
        "use either --replace or --append" in home("create", "a", "b", "--replace", "--append", code=2).stderr
    )


def test_types_and_settings_are_read(home):
    (home.folder / "d.txt").write_text("id;price\n1;2,50\n2;3,75\n".replace(",", "."))
    home("create", "d.txt", "d", "csv", "--set", "delimiter=;", "--types", "price=numeric(5,2), id=text")
    shown = [line.split()[:2] for line in home("table", "show", "d").stdout.splitlines()]
    assert ["id", "text"] in shown
    assert ["price", "numeric(5,2)"] in shown


def test_a_preview_changes_nothing(home):
    lines = home("create", "people.csv", "people", "--preview").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["column", "type", "for", "example"],
        ["id", "bigint", "1"],
        ["name", "text", "Ada"],
    ]
    assert home("tables").stdout.splitlines()[1:] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["people.csv"], 2, "which table? write: dteg create people.csv TABLE"),
        (["extracter"], 2, 'write: dteg create extracter TABLE; or, for a component, did you mean "extractor"?'),
        (["people.csv", "people", "xml"], 2, "format 'xml': use one of csv, tsv, json"),
        (["people.csv", "people", "--types", "id"], 2, "types: 'id' is not NAME=VALUE"),
        (["people.csv", "people", "--types", "id=intt"], 2, "unknown type 'intt'"),
        (["people.csv", "people", "--types", "idd=int"], 2, "`columns` names 'idd', which no file has"),
        (["people.csv", "people", "--kind", "loader"], 2, "are for components"),
        (["people.csv", "people", "--key", "idd"], 2, "people.csv: public.people: no column 'idd' arrives; there are: id, name"),
        (["people.csv", "_dteg.people"], 2, "belongs to the database or to dteg"),
        (["extractor", "x", "--replace"], 2, "extractor makes a component; for a table of a file of that name, write ./extractor"),
        (["nothing.csv", "people"], 2, "nothing.csv: there is no such file"),
        (["people", "people"], 2, "the name does not say the format"),
    ],
)  # fmt: skip
def test_create_names_what_is_wrong(home, arguments, code, message):
    done = home("create", *arguments, code=code)
    assert message in done.stderr
    assert done.stderr.count("error: ") == 1
    assert home("tables").stdout.splitlines()[1:] == []


def test_standard_input_becomes_a_table(home):
    def create(*arguments, data):
        return subprocess.run(
            [*DTEG, "create", "-", "people", *arguments], cwd=home.folder, env=home.environment, input=data,
            capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip

    assert create("csv", data=CSV).stdout.startswith("made public.people: 3 rows")
    assert "say the format of standard input" in create(data=CSV).stderr
    assert (
        "stdin.csv (row 2): 1 columns where the header has 2"
        in create("csv", "--append", data="id,name\n1,a\n2\n").stderr
    )


def test_export_writes_a_whole_file_or_none(home):
    home("create", "people.csv", "people")
    (home.folder / "people.csv").unlink()
    assert home("export", "people", "csv", "--order-by", "id").stdout == f"people.csv: {len(CSV)} bytes\n"
    assert (home.folder / "people.csv").read_text() == CSV
    assert "people.csv is there already; add --overwrite" in home("export", "people", "csv", code=2).stderr
    home(
        "export",
        "people",
        "jsonl",
        "-o",
        "out.jsonl",
        "--where",
        "name like 'A%'",
        "--columns",
        "name",
        "--order-by",
        "id",
    )
    assert (home.folder / "out.jsonl").read_text() == '{"name":"Ada"}\n{"name":"Alan"}\n'
    home("export", "people", "xlsx")
    sheet = openpyxl.load_workbook(home.folder / "people.xlsx").active
    assert [cell.value for cell in sheet[2]] == [1, "Ada"]
    assert "there is no table" in home("export", "peopel", "parquet", "-o", "x.parquet", code=1).stderr
    assert "there is no such folder" in home("export", "people", "csv", "-o", "no/x.csv", code=2).stderr
    assert sorted(path.name for path in home.folder.iterdir() if path.is_file()) == [
        "out.jsonl",
        "people.csv",
        "people.xlsx",
    ]


def test_export_to_standard_output(home):
    home("create", "people.csv", "people")
    done = home.process("export", "people", "csv", "-o", "-", "--order-by", "id")
    assert done.stdout == CSV


def test_export_leaves_devices_and_the_files_of_others_alone(home):
    home("create", "people.csv", "people")
    (home.folder / "out.csv.partial").write_text("mine")
    home("export", "people", "csv", "-o", "out.csv")
    assert (home.folder / "out.csv.partial").read_text() == "mine"
    for device in ("/dev/stdout", "/dev/null"):
        refused = home("export", "people", "csv", "-o", device, "--overwrite", code=2).stderr
        assert f"{device} is no file but a device or a pipe; write -o -" in refused


def test_no_is_no_interruption(home, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    home("create", "people.csv", "people")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert home("delete", "people", code=1).stderr.endswith("nothing was changed\n")
    assert home("tables").stdout.splitlines()[1].split()[0] == "public.people"


def test_what_a_file_needs_is_said_as_an_option(home):
    (home.folder / "latin.csv").write_bytes("id,name\n1,Zürich\n".encode("latin-1"))
    (home.folder / "ragged.csv").write_text("id,name\n1,a\n2\n")
    assert "\nhere: --set encoding=latin-1\n" in home("create", "latin.csv", "t", code=2).stderr
    assert "\nhere: --max-bad-rows N " in home("create", "ragged.csv", "t", code=1).stderr
    aside = home("create", "ragged.csv", "t", "--max-bad-rows", "1").stdout
    assert "1 set aside in public.t__dead_letters" in aside
    wrong = home("create", "latin.csv", "u", "--set", "encodng=latin-1", code=2).stderr
    assert 'encodng: there is no such setting for reading files; did you mean "encoding"?' in wrong


def test_what_a_terminal_cannot_show_is_written_out_and_programs_get_utf_8(home):
    (home.folder / "people.csv").write_text("name\nZürich\n", encoding="utf-8")
    home("create", "people.csv", "people")
    shown, data = (
        home.process("read", "people", "--columns", "name", "--format", each, PYTHONIOENCODING="ascii").stdout
        for each in ("table", "csv")
    )
    assert "Z\\xfcrich" in shown
    assert data == "name\nZürich\n"


def test_delete_asks_and_lists_what_needs_the_table(home):
    home("create", "people.csv", "people")
    assert (
        "nobody is there to ask; to delete public.people without a question, add --yes"
        in home.process("delete", "people", code=2).stderr
    )
    with psycopg.connect(home.url, autocommit=True) as connection:
        connection.execute("CREATE VIEW names AS SELECT name FROM people")
    refused = home("delete", "people", "--yes", code=1).stderr
    assert "public.people is needed; nothing was deleted\n  view names: reads the table" in refused
    assert home("delete", "names", "--yes").stdout == "deleted public.names\n"
    assert home("table", "delete", "people", "--yes").stdout == "deleted public.people\n"
    assert "there is no table public.people" in home("delete", "people", "--yes", code=1).stderr

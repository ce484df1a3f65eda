import csv
import io
import json
import time

import psycopg
import pytest

from dteg import __version__
from dteg.cli import app
from dteg.core.yaml import parse


def commands_of(command, path=()):
    """Return the words of every command and group, the program itself first."""
    found = [[*path]]
    for name, inner in getattr(command, "commands", {}).items():
        found += commands_of(inner, (*path, name))
    return found


# These become another program: in this process they would replace the tests.
PROGRAMS = [["registry"]]
COMMANDS = [command for command in commands_of(app) if command not in PROGRAMS]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command, capsys):
    from dteg.cli.main import run_app

    started = time.process_time()
    assert run_app([*command, "--help"]) == 0
    assert time.process_time() - started < 2
    shown = capsys.readouterr().out
    assert shown.startswith("Usage: ")
    assert len(shown.split("\n\n")[1].strip()) > 15


@pytest.mark.parametrize("command", PROGRAMS, ids=" ".join)
def test_every_program_explains_itself(command, shell):
    shown = shell.process(*command, "--help").stdout.lower()
    assert shown.startswith("usage: ")
    assert f"dteg {' '.join(command)}" in shown
    assert len(shown.split("\n\n")[1].strip()) > 15


def test_help_comes_from_the_program_with_the_exit_codes(project):
    shown = " ".join(project.process("--help").stdout.split())
    assert "Exit codes: 0 done, 1 run failed, 2 bad input, 3 something is missing on this machine." in shown


def test_a_new_project_runs_at_once_and_again(shell):
    made = shell("init").stdout
    assert made.count("made ") == 3
    assert made.rstrip().endswith("Next: dteg run hello")
    (shell.folder / "data" / "cities.csv").write_text("id,city\n1,Ulm\n")
    assert shell("init").stdout.count("kept ") == 3
    assert (shell.folder / "data" / "cities.csv").read_text() == "id,city\n1,Ulm\n"
    first, second = (json.loads(shell("run", "hello", "--json").stdout) for _ in range(2))
    assert (first["succeeded"], first["streams"][0]["load"]["rows_written"]) == (True, 1)
    assert second["streams"][0]["load"]["rows_written"] == 0
    assert (shell.folder / ".gitignore").read_text() == ".dteg/\n"


def test_init_makes_the_folder_it_is_given(shell):
    assert "Next: cd new/place && dteg run hello" in shell("init", "new/place").stdout
    assert (shell.folder / "new" / "place" / "pipelines" / "hello.yaml").is_file()
    (shell.folder / "file").touch()
    assert "cannot be written" in shell("init", "file", code=3).stderr


def test_init_names_a_folder_as_a_shell_takes_it(shell):
    assert "Next: cd 'my shop' && dteg run hello" in shell("init", "my shop").stdout


def test_run_tells_progress_on_stderr_and_the_result_on_stdout(project):
    done = project("run", "hello")
    assert "raw.cities: 0 read, 0 written" in done.stderr  # files that were read are known
    assert done.stdout.startswith("hello done: 0 rows written, 2 checks passed, 0 failed, ")


def test_validate_checks_all_or_one_and_names_file_and_line(shell):
    shell("init")
    assert shell("pipeline", "validate").stdout == "ok       pipelines/hello.yaml\n"
    shell.pipeline("pipeline:\n  name: bad\n  stps: []\n", "bad")
    done = shell("pipeline", "validate", code=2)
    assert "ok       pipelines/hello.yaml" in done.stdout
    assert "pipelines/bad.yaml:3: pipeline.stps: unknown key 'stps'; did you mean \"steps\"?" in done.stderr
    shell("pipeline", "validate", "hello")
    shell("pipeline", "validate", "pipelines/bad.yaml", code=2)
    shell.pipeline((shell.folder / "pipelines" / "hello.yaml").read_text(), "twin")
    assert (
        "the name 'hello' is taken by pipelines/hello.yaml"
        in shell("pipeline", "validate", "hello", "twin", code=2).stderr
    )


def test_validate_misses_the_sql_file_of_a_transform(shell):
    shell("init")
    shell.pipeline("pipeline:\n  name: t\n  steps:\n    - transform: {type: sql, file: no.sql}\n", "t")
    done = shell("pipeline", "validate", "t", code=2)
    assert "pipelines/t.yaml:4: transform: sql file no.sql cannot be read: No such file" in done.stderr


def test_list_shows_broken_files_too(shell):
    shell("init")
    shell.pipeline("pipeline: [", "broken")
    lines = shell("pipeline", "list").stdout.splitlines()
    assert lines[0].startswith("broken                   broken: pipelines/broken.yaml:1: not valid YAML")
    assert lines[1].split() == ["hello", "-", "->", "raw.cities"]
    rows = json.loads(shell("pipeline", "list", "--json").stdout)
    assert rows[1]["targets"] == ["raw.cities"]


def test_show_says_each_step(project):
    shown = project("pipeline", "show", "hello").stdout
    for part in (
        "flow      files -> postgres",
        "merge by id into raw.cities",
        "check unique_id (error)",
        "schedule  -",
    ):
        assert part in shown
    data = json.loads(project("pipeline", "show", "hello", "--json").stdout)
    assert data["spec"]["steps"][1]["load"]["write"] == "merge"


def test_schema_is_a_json_schema_that_describes_the_example(project):
    schema = json.loads(project("pipeline", "schema").stdout)
    assert schema["additionalProperties"] is False
    document = parse((project.folder / "pipelines" / "hello.yaml").read_text()).value
    assert set(document["pipeline"]) <= set(schema["$defs"]["PipelineSpec"]["properties"])


def test_read_gives_the_same_rows_in_four_formats(project):
    arguments = ("read", "raw.cities", "--columns", "id,city", "--order-by", "-id", "--limit", "2")
    expected = [{"id": 4, "city": "New York, NY"}, {"id": 3, "city": "Osaka"}]
    assert json.loads(project(*arguments, "--format", "json").stdout) == expected
    assert [
        json.loads(line) for line in project(*arguments, "--format", "jsonl").stdout.splitlines()
    ] == expected
    rows = list(csv.DictReader(io.StringIO(project(*arguments, "--format", "csv").stdout)))
    assert [{"id": int(row["id"]), "city": row["city"]} for row in rows] == expected
    table = project(*arguments).stdout.splitlines()
    assert [line.split() for line in table] == [["id", "city"], ["4", "New", "York,", "NY"], ["3", "Osaka"]]


def test_read_shows_values_of_every_type_as_json(shell):
    (shell.folder / "pipelines").mkdir()
    with psycopg.connect(shell.url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE v AS SELECT '[bold]x'::text AS t, 1.50::numeric AS n, '{1.5,2}'::numeric[] AS a, 'NaN'::float8 AS f, '\\x00ff'::bytea AS b,"
            " '2026-01-01'::date AS d, '{\"k\": [1]}'::jsonb AS j, '[1,3)'::int4range AS r, NULL::int AS z, true AS y, '1 day'::interval AS i"
        )
    (row,) = json.loads(shell("read", "public.v", "--format", "json").stdout)
    assert row == {
        "t": "[bold]x", "n": "1.50", "a": ["1.5", "2"], "f": "nan", "b": "\\x00ff", "d": "2026-01-01", "j": {"k": [1]}, "r": "[1, 3)",
        "z": None, "y": True, "i": "1 day",
    }  # fmt: skip
    assert "[bold]x" in shell("read", "public.v").stdout


def test_read_hides_nothing_of_a_value_and_cannot_steer_a_terminal(shell):
    (shell.folder / "pipelines").mkdir()
    with psycopg.connect(shell.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE v AS SELECT 1e-9::float8 AS f, E'\\x1b[2Jgone'::text AS \"[red]\"")
    assert [line.split() for line in shell("read", "v").stdout.splitlines()] == [
        ["f", "[red]"],
        ["1e-09", "\\x1b[2Jgone"],
    ]


def test_read_says_that_there_are_more_rows_and_ends_lines_as_others_do(project):
    done = project("read", "raw.cities", "--limit", "2")
    assert done.stderr == "there are more rows: --limit 20\n"
    assert project("read", "raw.cities").stderr == ""
    assert "\r" not in project("read", "raw.cities", "--format", "csv").stdout


def test_read_gives_each_value_a_line_where_the_terminal_is_too_narrow_for_columns(project):
    narrow = {"FORCE_COLOR": "1", "NO_COLOR": "", "COLUMNS": "40"}
    shown = project("read", "raw.cities", "--limit", "1", **narrow).stdout
    assert shown.startswith("-- row 1\nid          1\ncity        Seoul\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0", "2", "*", "*", "*", "--", "prune"], "'0' is not a cron expression of five fields; write it in quotes"),
        (["0 2 * * *", "backup", "shop", "--encrypt"], "No such option --encrypt. If it belongs to the action, write -- before"),
        (["0 2 * * *", "--timezon", "UTC", "--", "prune"], "No such option '--timezon'. Did you mean '--timezone'?"),
    ],
)  # fmt: skip
def test_a_cron_job_without_its_quotes_or_dashes_says_where_they_belong(project, arguments, message):
    assert message in project("cron", "add", "nightly", *arguments, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["raw.cities", "--columns", "id,citi"], "raw.cities has no column 'citi'; did you mean \"city\"?"),
        (["raw.cities", "--order-by", "nothing"], "raw.cities has no column 'nothing'; there are: "),
        (["raw.cities", "--format", "xml"], "--format xml: use one of table, csv, json, jsonl"),
        (
            ["raw.cities", "--where", "citi = 1"],
            "raw.cities has no column 'citi'; did you mean \"city\"? (at character 1",
        ),
        (["a.b.c"], "has 3 parts; write schema.table"),
        (["raw.cities", "--limit", "0"], "Invalid value for '--limit'"),
    ],
)
def test_read_names_what_is_wrong(project, arguments, message):
    assert message in project("read", *arguments, code=2).stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("raw.citys", 'there is no table raw.citys; did you mean "raw.cities"?'),
        ("raw.cities; DROP TABLE cities", "there is no table"),
    ],
)
def test_read_names_the_nearest_table(project, table, message):
    assert message in project("read", table, code=1).stderr


def test_info_tells_where_everything_is(project):
    data = json.loads(project("info", "--json").stdout)
    assert data["version"] == __version__
    assert data["postgres_url"] == project.url
    assert data["embedded"] is False
    assert data["dagster_home"] == str(project.folder / ".dteg" / "dagster_home")
    assert data["project"] == str(project.folder)
    assert data["servers"] == []
    assert f"version        {__version__}" in project("info").stdout


def test_doctor_finds_nothing_wrong_here(project):
    findings = {each["name"]: each for each in json.loads(project("doctor", "--json").stdout)}
    assert findings["warehouse"]["message"].startswith("PostgreSQL 1")
    assert findings["pipelines/hello.yaml"]["ok"]
    assert "ok        python: 3." in project("doctor").stdout


def test_stop_has_nothing_to_stop(project):
    assert project("stop").stdout == "nothing was running\n"


def test_exit_code_0_is_done(project):
    project.process("run", "hello", code=0)


def test_exit_code_1_is_a_failed_run(shell):
    shell("init")
    path = shell.folder / "pipelines" / "hello.yaml"
    path.write_text(
        path.read_text().replace(
            "columns: [id, city]",
            "columns: [id], name: strict}\n      - {type: range, column: population, max: 5",
        )
    )
    done = shell.process("run", "hello", code=1)
    assert "check range_population failed (error): " in done.stdout
    assert "hello failed: " in done.stdout


def test_exit_code_2_is_bad_input(project):
    done = project.process("run", "helo", code=2)
    assert done.stderr == "error: there is no pipeline 'helo' in pipelines/; did you mean \"hello\"?\n"
    assert "--param x: write NAME=VALUE" in project("run", "hello", "--param", "x", code=2).stderr
    assert "No such command" in project("rnu", code=2).stderr


def test_exit_code_3_is_something_missing_on_this_machine(shell):
    assert "make one with: dteg init" in shell.process("run", "hello", code=3).stderr
    findings = json.loads(shell("doctor", "--json", code=3).stdout)
    assert [each["remedy"] for each in findings if not each["ok"] and each["needed"]] == ["dteg init"]
    assert "is not a folder" in shell("info", code=3, DTEG_HOME=str(shell.folder / "none")).stderr


def test_a_server_that_does_not_answer_is_named_by_doctor(project):
    done = project("doctor", code=3, DTEG_POSTGRES_URL="postgresql://me@127.0.0.1:1/none")
    assert "missing   warehouse: " in done.stdout
    assert "mend it with: check DTEG_POSTGRES_URL" in done.stdout

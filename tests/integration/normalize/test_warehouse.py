"""`dteg normalize` as a person runs it: the flat flights become tables of the warehouse, and dbt builds on them."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from dteg.cli.main import run_app
from tests.integration.normalize.cases import REAL, TEXTBOOK, f1

FLIGHTS = next(case for case in REAL if case.name == "flights_all")


@pytest.fixture
def project(tmp_path, postgres_url, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    return tmp_path


@pytest.fixture
def flights(project):
    (project / "flights.csv").write_text(FLIGHTS.text())
    return "flights.csv"


def test_the_flat_flights_are_loaded_and_dbt_builds_on_them(project, flights, postgres_url, capsys):
    assert run_app(["normalize", flights, "--into", "air", "--out", "out", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    found = [{name for name in table["columns"] if name != "row_id"} for table in result["plan"]["tables"]]
    assert f1(found, FLIGHTS.tables()) == 1.0
    with psycopg.connect(postgres_url) as connection:
        rows = {table["name"]: table["rows"] for table in result["plan"]["tables"]}
        for name, count in rows.items():
            assert connection.execute(f'SELECT count(*) FROM air."{name}"').fetchone() == (count,)
        keys = connection.execute(
            "SELECT conrelid::regclass::text, count(*) FILTER (WHERE contype = 'p'), count(*) FILTER (WHERE contype = 'f')"
            " FROM pg_constraint WHERE connamespace = 'air'::regnamespace AND contype IN ('p', 'f') GROUP BY 1"
        ).fetchall()
        assert {name: (primary, foreign) for name, primary, foreign in keys} == {
            "air.flights": (1, 3), "air.carriers": (1, 0), "air.tails": (1, 0), "air.dests": (1, 0),
        }  # fmt: skip
        columns = ", ".join(FLIGHTS.columns.split())
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY (SELECT {columns} FROM air.flights_flat) TO STDOUT (FORMAT csv)") as copy,
        ):
            back = sorted(b"".join(copy).decode().splitlines())
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE file (LIKE air.flights_flat)")
            with cursor.copy("COPY file FROM STDIN (FORMAT csv, HEADER)") as copy:
                copy.write((project / flights).read_bytes())
            with cursor.copy("COPY file TO STDOUT (FORMAT csv)") as copy:
                file = sorted(b"".join(copy).decode().splitlines())
    assert back == file
    done = build(project, postgres_url)
    assert done.returncode == 0, done.stdout
    assert "ERROR=0" in done.stdout
    assert "PASS=1 " not in done.stdout


def build(project: Path, url: str) -> subprocess.CompletedProcess[str]:
    """Run dbt on the folder that was written, as a project of its own."""
    info = psycopg.conninfo.conninfo_to_dict(url)
    output = {
        "type": "postgres", "host": info["host"], "port": int(info.get("port", 5432)), "user": info["user"],
        "password": info.get("password", ""), "dbname": info["dbname"], "schema": "built", "threads": 2,
    }  # fmt: skip
    (project / "out" / "dbt_project.yml").write_text(
        "name: air\nversion: '1.0'\nprofile: air\nmodel-paths: [dbt]\n"
    )
    (project / "out" / "profiles.yml").write_text(
        json.dumps({"air": {"target": "t", "outputs": {"t": output}}})
    )
    command = [
        str(Path(sys.executable).with_name("dbt")),
        "build",
        "--no-use-colors",
        "--no-send-anonymous-usage-stats",
    ]
    return subprocess.run(command, cwd=project / "out", capture_output=True, text=True, check=False)


def test_a_dirty_file_comes_back_with_its_mistakes(project, postgres_url, capsys):
    rows = list(TEXTBOOK[0].rows(random.Random(4)))
    rows[5][6], rows[77][8], rows[90][4] = "Cittty 4", "Prodduct", ""
    with Path("orders.csv").open("w", newline="") as file:
        csv.writer(file).writerows([TEXTBOOK[0].columns.split(), *rows])
    assert run_app(["normalize", "orders.csv", "csv", "--into", "shop"]) == 0
    assert "3 values differ" in capsys.readouterr().out
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute(
            "SELECT count(*) FROM shop.orders_rows_flat WHERE city = 'Cittty 4' OR email IS NULL"
        ).fetchone()
    assert found == (2,)


def test_bad_requests_are_told_and_change_nothing(project, flights, postgres_url, capsys):
    def refused(*words, code, says):
        assert run_app(["normalize", *words]) == code
        told = capsys.readouterr()
        assert says in told.err
        assert "Traceback" not in told.err

    refused("absent.csv", code=2, says="absent.csv")
    refused(flights, "doc", code=2, says="format")
    refused(flights, "--lists", "some", code=2, says="lists")
    refused(flights, "--into", "s" * 80, code=2, says="schema")
    Path("full").mkdir()
    Path("full/file").touch()
    refused(flights, "--out", "full", code=1, says="not empty")
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regnamespace('air')").fetchone() == (None,)
        connection.execute("CREATE SCHEMA air; CREATE TABLE air.carriers (mine int)")
        connection.commit()
        refused(flights, "--into", "air", code=1, says="air.carriers")
        tables = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'air'::regnamespace"
        ).fetchone()
    assert tables == (1,)


def test_what_came_back_differently_is_not_loaded(project, flights, postgres_url, capsys, monkeypatch):
    from dteg.normalize.outputs import ddl

    monkeypatch.setattr(ddl, "view", lambda *given, real=ddl.view: real(*given) + "\nWHERE r.month <> 3")
    assert run_app(["normalize", flights, "--into", "air"]) != 0
    assert "came back" in capsys.readouterr().err
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regnamespace('air')").fetchone() == (None,)


def test_a_person_reads_what_happened(project, flights, capsys):
    assert run_app(["normalize", flights, "--why"]) == 0
    said = capsys.readouterr().out
    assert "Proved on 19,811 rows" in said
    assert "Nothing was written" in said
    assert "No table for (model)" in said


def test_an_earlier_run_is_exchanged_and_nothing_else(project, flights, postgres_url, capsys):
    assert run_app(["normalize", flights, "--into", "air"]) == 0
    assert run_app(["normalize", flights, "--into", "air"]) == 1
    assert "--replace" in capsys.readouterr().err
    assert run_app(["normalize", flights, "--into", "air", "--replace", "--bcnf"]) == 0
    with psycopg.connect(postgres_url) as connection:
        connection.execute("COMMENT ON TABLE air.carriers IS 'mine now'")
        connection.commit()
        assert run_app(["normalize", flights, "--into", "air", "--replace"]) == 1
        assert connection.execute("SELECT count(*) FROM air.carriers").fetchone() == (16,)

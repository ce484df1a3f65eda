"""What holds for every file, whatever is in it; bad input; and that a broken plan is noticed."""

import csv
import subprocess

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dteg.core.errors import InputError, QualityGateError
from dteg.core.project import Project
from dteg.normalize import discovery, engine
from dteg.normalize.flat import TABLE, Flat, workspace
from dteg.normalize.service import Normalizer, NormalizeRequest
from tests.integration.normalize.cases import TEXTBOOK

# Few different values, so that dependencies, duplicates and nulls are there by themselves; strange texts too.
VALUE = st.one_of(st.none(), st.sampled_from(["", "a", "b", " a", "é", 'x"y', "1", "a;b", "a; b;", "NULL"]))
TABLES = st.integers(1, 6).flatmap(
    lambda width: st.lists(st.tuples(*[VALUE] * width), min_size=1, max_size=40)
)


def flat_of(connection, rows, names=None):
    names = names or [f"c{number}_id" if number % 2 else f"c{number}" for number in range(len(rows[0]))]
    columns = ", ".join(f'"{name}" VARCHAR' for name in names)
    connection.execute(f"DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} ({columns})")
    connection.executemany(
        f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(names))})", [list(row) for row in rows]
    )
    return Flat(connection, "made")


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with workspace(tmp_path_factory.mktemp("normalize")) as connection:
        yield connection


@pytest.fixture
def search_here(monkeypatch):
    """The own search, as on a machine without the library."""
    find = discovery.importlib.util.find_spec
    monkeypatch.setattr(
        discovery.importlib.util, "find_spec", lambda name: None if name == "desbordante" else find(name)
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=TABLES, form=st.sampled_from(["3NF", "BCNF"]), lists=st.sampled_from(["sure", "all", "none"]))
def test_any_table_is_kept(database, search_here, rows, form, lists):
    analysis = engine.analyse(flat_of(database, rows))
    result = engine.normalize(analysis, engine.design(analysis, form, None, lists))
    assert result.proof.holds
    assert result.proof.rows == result.proof.rejoined == len(rows)
    assert all(result.proof.checks.values())


def test_the_own_search_finds_the_same_tables(tmp_path, search_here):
    case = TEXTBOOK[0]
    file = tmp_path / "orders.csv"
    file.write_text(case.text())
    result = Normalizer.of(Project(tmp_path)).run(NormalizeRequest(), str(file))
    assert sorted(sorted(table.columns) for table in result.plan.tables) == sorted(
        sorted(each) for each in case.tables()
    )


def test_the_search_that_takes_too_long_is_ended_and_said(database, monkeypatch):
    def slow(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(discovery.subprocess, "run", slow)
    analysis = engine.analyse(flat_of(database, [("a", "b"), ("a", "b"), ("c", "d")]), time_limit_s=0.1)
    result = engine.normalize(analysis, engine.design(analysis))
    assert result.plan.is_normal_already
    assert any("took" in note for note in result.plan.notes)


ROWS = [(f"{order}", f"{order % 7}", f"name {order % 7}", f"{order % 5}") for order in range(200)]


def orders(database):
    return flat_of(database, ROWS, ["order_id", "customer_id", "customer_name", "amount"])


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM result.customers WHERE customer_id = '3'", "refer to no row of customers"),
        ("UPDATE result.customers SET customer_name = 'other' WHERE customer_id = '3'", "differ"),
        ("INSERT INTO result.customers SELECT * FROM result.customers LIMIT 1", "repeat the key"),
        ("DELETE FROM result.made WHERE order_id = '7'", "differ"),
        ("ALTER TABLE result.made ALTER amount TYPE BIGINT", "was VARCHAR"),
        ("UPDATE result.made SET order_id = NULL WHERE order_id = '7'", "have no value in the key"),
    ],
)
def test_damage_is_noticed(database, monkeypatch, damage, problem):
    analysis = engine.analyse(orders(database))
    plan = engine.design(analysis)
    assert [table.name for table in plan.tables] == ["made", "customers"]
    make = engine.decompose

    def damaged(flat, plan):
        made = make(flat, plan)
        flat.connection.execute(damage)
        return made

    monkeypatch.setattr(engine, "decompose", damaged)
    with pytest.raises(QualityGateError, match=problem):
        engine.normalize(analysis, plan)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda table: {"columns": [*table.columns, "customer_name"]}, "stored 2 times"),
        (lambda table: {"primary_key": ["amount"]}, "repeat the key"),
    ],
)
def test_a_plan_that_is_none_is_noticed(database, change, problem):
    analysis = engine.analyse(orders(database))
    plan = engine.design(analysis)
    wrong = plan.root.model_copy(update=change(plan.root))
    with pytest.raises(QualityGateError, match=problem):
        engine.normalize(analysis, plan.model_copy(update={"tables": [wrong, *plan.tables[1:]]}))


def test_nothing_is_written_when_the_proof_fails(tmp_path, monkeypatch):
    file, out = tmp_path / "orders.csv", tmp_path / "out"
    file.write_text(TEXTBOOK[0].text())
    make = engine.decompose

    def damaged(flat, plan):
        made = make(flat, plan)
        flat.connection.execute("UPDATE result.products SET category = 'other'")
        return made

    monkeypatch.setattr(engine, "decompose", damaged)
    with pytest.raises(QualityGateError):
        Normalizer.of(Project(tmp_path)).run(NormalizeRequest(out=str(out)), str(file))
    assert not out.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"orders.csv"}


def test_a_person_who_moved_is_no_mistake(database):
    """A value that is usual elsewhere does not make an almost-dependency."""
    rows = [(f"p{number % 20}", "A" if number % 20 < 10 else "B", f"{number}") for number in range(2000)]
    rows[500:510] = [("p1", "B", f"{number}") for number in range(500, 510)]
    analysis = engine.analyse(flat_of(database, rows, ["plane_id", "owner", "flight_id"]))
    assert engine.design(analysis).is_normal_already
    misspelt = [
        (plane, owner if number != 505 else "Aa", flight)
        for number, (plane, owner, flight) in enumerate(rows[:400] * 2)
    ]
    analysis = engine.analyse(flat_of(database, misspelt, ["plane_id", "owner", "flight_id"]))
    result = engine.normalize(analysis, engine.design(analysis))
    assert result.proof.exceptions == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", "", "empty file"),
        ("header.csv", "a,b\n", "no rows|no records"),
        ("twice.csv", "a,A\n1,2\n", "two columns"),
        ("broken.json", "[{", "broken.json"),
        ("short.csv", "a,b\n1,2\n3\n", "short.csv"),
    ],
)
def test_bad_files_are_told(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        Normalizer.of(Project(tmp_path)).run(
            NormalizeRequest(out=str(tmp_path / "out")), str(tmp_path / name)
        )
    assert not (tmp_path / "out").exists()


def test_the_same_file_gives_the_same_bytes(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text(TEXTBOOK[0].text())
    written = [
        Normalizer.of(Project(tmp_path)).run(NormalizeRequest(out=str(tmp_path / each)), str(file)).files
        for each in ("one", "two")
    ]
    assert written[0] == written[1]
    reports = [(tmp_path / each / "normalization_report.json").read_bytes() for each in ("one", "two")]
    assert reports[0] == reports[1]


def test_strange_names_survive(tmp_path):
    file, out = tmp_path / "strange.csv", tmp_path / "out"
    header = ['Order "Id"', "select", "Kunde; DROP TABLE x", "Kunden name"]
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *ROWS])
    result = Normalizer.of(Project(tmp_path)).run(NormalizeRequest(out=str(out)), str(file))
    assert result.proof.holds
    assert {name for table in result.plan.tables for name in table.columns} >= set(header)
    with duckdb.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM '{out / 'strange.csv'}'").fetchone() == (200,)

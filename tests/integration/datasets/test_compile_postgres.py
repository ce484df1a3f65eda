"""What is left to another PostgreSQL, and what is not, so that the answer is the same wherever it is found."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dteg.datasets.catalogue import from_source
from dteg.datasets.compiler import compile_dataset
from dteg.datasets.preview.plan import explain
from dteg.datasets.spec import spec_of
from dteg.sources.models import Column, Kind, Mode, Relation, Source, SourceTable
from dteg.testing.servers import database

REMOTE = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE people (id integer PRIMARY KEY, name text, mood mood, paid numeric(12,2), seen timestamptz);
INSERT INTO people SELECT n, 'name ' || n, CASE WHEN n % 2 = 0 THEN 'glad' ELSE 'sad' END::mood, n, now() - n * interval '1 day'
FROM generate_series(1, 200) AS n;
"""
COLUMNS = [
    Column(name="id", type="integer", remote_type="integer", nullable=False),
    Column(name="name", type="text", remote_type="text"),
    Column(name="mood", type="text", remote_type="mood"),
    Column(name="paid", type="numeric(12,2)", remote_type="numeric(12,2)"),
    Column(name="seen", type="timestamp with time zone", remote_type="timestamp with time zone"),
]


class Catalogue:
    """One remote table."""

    def table(self, ref):
        source = Source(slug="crm", kind=Kind.POSTGRES, mode=Mode.FDW)
        table = SourceTable(
            source="crm", schema_="public", name="people", relation=Relation(schema_="src_crm", name="people"),
            columns=COLUMNS, primary_key=["id"], linked=True,
        )  # fmt: skip
        return from_source(source, table)

    def dataset_uses(self, slug):
        return ()

    def letters(self):
        return ""


@pytest.fixture(scope="module")
def hub(_postgres_database):
    with database(_postgres_database) as remote, database(_postgres_database) as url:
        with psycopg.connect(remote, autocommit=True) as connection:
            connection.execute(REMOTE)
        place = conninfo_to_dict(remote)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION postgres_fdw; CREATE SCHEMA src_crm")
            host, name = place["host"], place["dbname"]
            connection.execute(
                f"CREATE SERVER crm FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', dbname '{name}', use_remote_estimate 'true')"
            )
            connection.execute("CREATE USER MAPPING FOR CURRENT_USER SERVER crm OPTIONS (user 'postgres')")
            columns = ", ".join(f"{column.name} {column.type}" for column in COLUMNS)
            connection.execute(
                f"CREATE FOREIGN TABLE src_crm.people ({columns}) SERVER crm OPTIONS (schema_name 'public')"
            )
            yield connection


def compiled(**spec):
    sources = {"p": {"source": "crm", "schema": "public", "table": "people"}}
    return compile_dataset(spec_of({"dataset": "people", "sources": sources, **spec}), Catalogue()).sql


def remote_sql(hub, **spec):
    rows = hub.execute(f"EXPLAIN (VERBOSE, COSTS OFF) {compiled(**spec)}".encode()).fetchall()
    return " ".join(row[0] for row in rows if "Remote SQL" in row[0])


def test_a_relative_time_is_a_parameter_of_the_remote_query(hub):
    spec = {"filters": {"col": "seen", "op": ">=", "value": {"relative": "-10d"}}}

    assert "WHERE ((seen >= $1::timestamp with time zone))" in remote_sql(hub, **spec)
    assert len(hub.execute(compiled(**spec).encode()).fetchall()) == 9


def test_plain_texts_are_compared_there(hub):
    assert "WHERE ((name = 'name 5'" in remote_sql(hub, filters={"col": "name", "value": "name 5"})


def test_sums_by_plain_texts_are_found_there(hub):
    found = remote_sql(hub, group_by=["name"], measures=[{"name": "s", "fn": "sum", "of": "paid"}])

    assert "sum(paid)" in found
    assert "GROUP BY" in found


def test_the_plan_says_in_words_what_is_done_where(hub):
    joined = {
        "sources": {alias: {"source": "crm", "schema": "public", "table": "people"} for alias in "pq"},
        "joins": [{"left": "p", "right": "q", "type": "inner", "on": [["p.id", "q.id"]]}],
    }
    there = explain(hub, compiled(filters={"col": "name", "value": "name 5"})).lines
    here = explain(hub, compiled(filters={"col": "mood", "value": "glad"})).lines
    together = explain(
        hub, compiled(group_by=["name"], measures=[{"name": "s", "fn": "sum", "of": "paid"}])
    ).lines
    both = explain(hub, compile_dataset(spec_of({"dataset": "two", **joined}), Catalogue()).sql).lines

    assert there[0].endswith("rows of people from the source crm, which filters by itself.")
    assert here[0].endswith("rows of people from the source crm, and leaves out here what does not fit.")
    assert "puts rows together by itself" in together[0]
    assert both[0].endswith("rows of several tables from the source crm, which joins by itself.")
    assert all(lines[-1].endswith("rows come out.") for lines in (there, here, together, both))


def test_what_is_no_text_there_is_compared_here(hub):
    spec = {"filters": {"col": "mood", "value": "glad"}, "columns": [{"name": "mood", "from": "mood"}]}

    assert "WHERE" not in remote_sql(hub, **spec)
    assert hub.execute(compiled(**spec).encode()).fetchall() == [("glad",)] * 100


def test_without_guards_that_comparison_would_fail(hub):
    with pytest.raises(psycopg.Error, match="does not exist"):
        hub.execute("SELECT count(*) FROM src_crm.people WHERE lower(mood) = 'glad'")


def test_groups_by_what_is_no_text_there(hub):
    spec = {"group_by": ["mood"], "measures": [{"name": "n", "fn": "count"}], "order_by": [{"col": "mood"}]}

    assert hub.execute(compiled(**spec).encode()).fetchall() == [("glad", 100), ("sad", 100)]

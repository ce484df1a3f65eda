"""One meaning whatever the source: a dataset over MariaDB gives what it gives over a copy of the same rows."""

from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from dteg.datasets.catalogue import CatalogueColumn, CatalogueTable, MemoryCatalogue, unicode_collation
from dteg.datasets.compiler import compile_dataset
from dteg.datasets.models import Dependency
from dteg.datasets.spec import spec_of
from dteg.datasets.types import type_of
from dteg.sources.models import Relation

MARIADB = """
CREATE TABLE people (
    id int PRIMARY KEY, name varchar(50), country char(2), paid decimal(12,2), parts int, born date, seen datetime, rate double
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
"""
PEOPLE = [
    (1, "cust 5", "kz", "10.00", 3, "1990-01-31", "2026-01-31 23:30:00", 0.1),
    (2, "CUST 5", "KZ", "1.00", 3, "1990-02-01", "2026-02-01 00:30:00", 0.2),
    (3, "Cust 5 ", "KZ", "2.00", 7, None, None, 0.3),
    (4, "Äpfel", "de", "0.10", 0, "2000-12-31", "2025-12-31 10:00:00", None),
    (5, "äpfel", "DE", None, None, "2000-12-31", "2025-01-01 00:00:00", 1e10),
    (6, "ÄPFEL", None, "5.00", 2, "2001-01-01", "2024-01-01 00:00:00", -1.5),
    (7, "Страна", "ru", "7.77", 9, "1980-05-05", "2026-03-01 12:00:00", 3.0),
    (8, None, "ru", "7.78", 9, "1980-05-05", "2026-03-01 12:00:00", 3.0),
]
COLUMNS = {
    "id": "integer", "name": "{text}", "country": "{text}", "paid": "numeric(12,2)", "parts": "integer", "born": "date",
    "seen": "timestamp without time zone", "rate": "double precision",
}  # fmt: skip
P = {"p": {"source": "shop", "table": "people"}}
PAIRS = {"p": {"source": "shop", "table": "people"}, "q": {"source": "shop", "table": "people"}}


def by_name(type_="inner"):
    return [{"left": "p", "right": "q", "type": type_, "on": [["p.name", "q.name"]]}]


def formula(text):
    return {"sources": P, "columns": [{"name": "id", "from": "id"}, {"name": "made", "formula": text}]}


def filtered(**condition):
    return {"sources": P, "columns": [{"name": "id", "from": "id"}], "filters": condition}


CASES = {
    "everything": {"sources": P},
    "equal": filtered(col="name", op="=", value="CUST 5"),
    "unequal": filtered(col="name", op="!=", value="CUST 5"),
    "in": filtered(col="name", op="in", value=["CUST 5", "äpfel"]),
    "not in": filtered(col="name", op="not_in", value=["CUST 5"]),
    "less": filtered(col="name", op="<", value="a"),
    "between": filtered(col="name", op="between", value=["A", "a"]),
    "contains": filtered(col="name", op="contains", value="ust"),
    "starts": filtered(col="name", op="starts_with", value="Ä"),
    "like": filtered(col="name", op="like", value="C% _"),
    "trailing space": filtered(col="name", op="=", value="Cust 5 "),
    "country": filtered(col="country", op="=", value="KZ"),
    "relative": filtered(col="seen", op=">=", value={"relative": "-30y"}),
    "relative start": filtered(col="born", op="<", value={"relative": "-20y", "start_of": "year", "timezone": "Asia/Almaty"}),
    "dates": filtered(col="born", op="between", value=["1990-01-31", "2000-12-31"]),
    "join": {"sources": PAIRS, "joins": by_name(), "columns": [{"name": "a", "from": "p.id"}, {"name": "b", "from": "q.id"}]},
    "left join": {"sources": PAIRS, "joins": by_name("left"), "columns": [{"name": "a", "from": "p.id"}, {"name": "b", "from": "q.id"}]},
    "group": {"sources": P, "group_by": ["country"], "measures": [{"name": "n", "fn": "count"}, {"name": "s", "fn": "sum", "of": "paid"}]},
    "group by name": {"sources": P, "group_by": ["name"], "measures": [{"name": "a", "fn": "avg", "of": "parts"}]},
    "distinct": {"sources": P, "measures": [{"name": "n", "fn": "count_distinct", "of": "name"}]},
    "extremes": {"sources": P, "measures": [{"name": "a", "fn": "min", "of": "name"}, {"name": "b", "fn": "max", "of": "name"}, {"name": "c", "fn": "max", "of": "born"}]},
    "numbers": {"sources": P, "measures": [{"name": f, "fn": f, "of": "parts"} for f in ("sum", "avg", "min", "max", "median", "stddev")]},
    "periods": {"sources": P, "group_by": [{"name": "m", "from": "seen", "grain": "month", "timezone": "Asia/Almaty"}], "measures": [{"name": "n", "fn": "count"}]},
    "length in bytes or letters": formula("length(name)"),
    "upper": formula("upper(name)"),
    "division": formula("paid / parts"),
    "whole division": formula("parts / 7"),
    "remainder": formula("mod(-parts, 2)"),
    "rounding": formula("round(rate * 25, 0)"),
    "truth": formula("name = 'CUST 5'"),
    "choice": formula("case when name = 'äpfel' then 'one' else coalesce(country, '?') end"),
    "times": formula("date_trunc('month', seen)"),
    "days": formula("days_between(born, seen)"),
    "joined texts": formula("concat(name, '-', country)"),
    "filter of a formula": {**formula("length(name)"), "filters": {"col": "made", "op": "=", "value": 5}},
    "group of a formula": {"sources": P, "columns": [{"name": "l", "formula": "length(name)"}], "group_by": ["l"], "measures": [{"name": "n", "fn": "count"}]},
    "sorted": {"sources": P, "columns": [{"name": "name", "from": "name"}, {"name": "id", "from": "id"}], "order_by": [{"col": "name"}, {"col": "id"}], "limit": 3},
}  # fmt: skip


@pytest.fixture(scope="module", params=["plain text", "domain"])
def hub(request, debian_hub, mariadb_server_url):
    """The people of MariaDB behind a foreign table, and a copy of them."""
    from dteg.testing.mariadb import mariadb_database
    from dteg.testing.servers import database

    with mariadb_database(mariadb_server_url) as remote, database(debian_hub) as url:
        place = urlsplit(remote)
        mysql = pymysql.connect(
            host=place.hostname, port=place.port, user=place.username, password=place.password, database=place.path[1:],
            autocommit=True,
        )  # fmt: skip
        with mysql, mysql.cursor() as cursor:
            cursor.execute(MARIADB)
            cursor.executemany(f"INSERT INTO people VALUES ({', '.join(['%s'] * 8)})", PEOPLE)
        with psycopg.connect(url, autocommit=True) as connection:
            text = "text" if request.param == "plain text" else "src_shop.exact_text"
            connection.execute("SET timezone = 'UTC'")
            connection.execute("CREATE EXTENSION mysql_fdw")
            connection.execute(
                "CREATE SCHEMA src_shop; CREATE DOMAIN src_shop.exact_text AS text; CREATE SCHEMA copy"
            )
            connection.execute(
                f"CREATE SERVER shop FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '{place.hostname}', port '{place.port}', character_set 'utf8mb4')"
            )
            connection.execute(
                f"CREATE USER MAPPING FOR CURRENT_USER SERVER shop OPTIONS (username '{place.username}', password '{place.password}')"
            )
            columns = ", ".join(f"{name} {type_.format(text=text)}" for name, type_ in COLUMNS.items())
            connection.execute(
                f"CREATE FOREIGN TABLE src_shop.people ({columns}) SERVER shop OPTIONS (dbname '{place.path[1:]}', table_name 'people')"
            )
            # Not SELECT INTO from the wrapper alone: the copy has to be what PostgreSQL makes of the rows.
            connection.execute(f"CREATE TABLE copy.people ({columns.replace('src_shop.exact_text', 'text')})")
            connection.execute("INSERT INTO copy.people SELECT * FROM src_shop.people")
            yield connection


def catalogue(connection, schema, *, foreign):
    columns = {
        name: CatalogueColumn(
            name,
            type_of(type_.format(text="text")),
            name != "id",
            exact=not foreign or "text" not in type_,
            foreign=foreign,
        )
        for name, type_ in COLUMNS.items()
    }
    table = CatalogueTable(
        Relation(schema_=schema, name="people"), columns, [frozenset(["id"])],
        dependency=Dependency(kind="source_table", name="shop/people"), server="shop" if foreign else "",
    )  # fmt: skip
    return MemoryCatalogue({"shop/people": table}, letters=unicode_collation(connection))


def answers(connection, spec, schema, *, foreign):
    sql = compile_dataset(spec, catalogue(connection, schema, foreign=foreign)).sql
    rows = connection.execute(sql.encode()).fetchall()
    return rows if spec.order_by else sorted(rows, key=repr)


@pytest.mark.parametrize("text_compare", ["exact", "ci"])
@pytest.mark.parametrize("name", CASES)
def test_mariadb_answers_as_postgresql_does(hub, name, text_compare):
    spec = spec_of({"dataset": "people", "text_compare": text_compare, **CASES[name]})

    assert answers(hub, spec, "src_shop", foreign=True) == answers(hub, spec, "copy", foreign=False)


def test_exact_and_ci_are_what_they_say(hub):
    exact, ci = (
        answers(
            hub,
            spec_of({"dataset": "people", "text_compare": mode, **CASES["equal"]}),
            "src_shop",
            foreign=True,
        )
        for mode in ("exact", "ci")
    )

    assert exact == [(2,)]
    assert ci == [(1,), (2,)]


def test_ci_knows_letters_beyond_ascii(hub):
    spec = spec_of({"dataset": "people", "text_compare": "ci", **filtered(col="name", op="=", value="äPFEL")})

    assert answers(hub, spec, "src_shop", foreign=True) == [(4,), (5,), (6,)]


def plan(connection, spec):
    sql = compile_dataset(
        spec_of({"dataset": "people", **spec}), catalogue(connection, "src_shop", foreign=True)
    ).sql
    return "\n".join(
        row[0] for row in connection.execute(f"EXPLAIN (VERBOSE, COSTS OFF) {sql}".encode()).fetchall()
    )


def test_a_relative_time_goes_to_the_source_as_a_parameter(hub):
    assert "WHERE ((`seen` >= ?))" in plan(hub, CASES["relative"])


def test_numbers_and_dates_are_filtered_by_the_source(hub):
    found = plan(
        hub,
        filtered(
            all=[{"col": "parts", "op": ">", "value": 2}, {"col": "born", "op": "<", "value": "2000-01-01"}]
        ),
    )

    assert "`parts` > 2" in found
    assert "`born` < '2000-01-01'" in found


def test_sums_are_found_by_the_source(hub):
    found = plan(
        hub, {"sources": P, "group_by": ["parts"], "measures": [{"name": "s", "fn": "sum", "of": "paid"}]}
    )

    assert "sum(`paid`)" in found
    assert "GROUP BY" in found


def test_the_source_is_not_asked_for_each_row_with_each(hub):
    for type_ in ("inner", "left", "right"):
        filters = {"all": [{"col": alias, "op": "not_null"} for alias in ("p.name", "q.name")]}
        found = plan(hub, {"sources": PAIRS, "joins": by_name(type_), "filters": filters})

        assert "JOIN" not in found.replace(" Join", "")
    assert " JOIN " in plan(
        hub, {"sources": PAIRS, "joins": [{"left": "p", "right": "q", "on": [["p.id", "q.id"]]}]}
    )


def test_without_guards_the_answer_would_depend_on_where_it_is_found(hub):
    query = "SELECT count(*) FROM {}.people WHERE parts / 7 = 0"
    there, here = (hub.execute(query.format(schema)).fetchone()[0] for schema in ("src_shop", "copy"))

    assert (there, here) == (1, 4)  # MariaDB divides 3 by 7 to 0.4286, PostgreSQL to 0

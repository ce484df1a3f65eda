"""A table of MariaDB and one of the warehouse in one dataset: linked, suggested, compiled, previewed."""

from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from dteg.core.project import Project
from dteg.datasets.preview import preview, suggest_joins
from dteg.datasets.session import builder_session
from dteg.datasets.spec import TableSource, spec_of
from dteg.sources.models import NewSource
from dteg.sources.relaying import Relaying
from dteg.sources.service import Sources

ORDERS = {"source": "shop", "table": "orders"}
CUSTOMERS = {"source": "warehouse", "schema": "raw", "table": "customers"}
JOINED = {
    "dataset": "joined",
    "sources": {"o": ORDERS, "c": CUSTOMERS},
    "joins": [{"left": "o", "right": "c", "on": [["o.customer_id", "c.id"]], "expect": "many_to_one"}],
}


@pytest.fixture
def project(debian_hub_database, mariadb_url, tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    for name, value in (
        ("DTEG_POSTGRES_URL", debian_hub_database), ("DTEG_HOME", str(tmp_path)), ("XDG_CONFIG_HOME", str(tmp_path / "config")),
        ("SHOP_URL", mariadb_url),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    place = urlsplit(mariadb_url)
    remote = pymysql.connect(
        host=place.hostname, port=place.port, user=place.username, password=place.password, database=place.path[1:],
        autocommit=True,
    )  # fmt: skip
    with remote, remote.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status enum('new', 'PAID'), amount decimal(12,2), created datetime, made year, extra json, took time, flag bit(8))"
        )
        orders = [(n, n % 5, "new" if n % 2 else "PAID", n) for n in range(1, 101)]
        cursor.executemany(
            "INSERT INTO orders VALUES (%s, %s, %s, %s, now(), 2026, '{}', '10:00:00', b'1')", orders
        )
    with psycopg.connect(debian_hub_database, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA raw; CREATE TABLE raw.customers (id integer PRIMARY KEY, country text)"
        )
        connection.execute(
            "INSERT INTO raw.customers SELECT n, CASE n % 2 WHEN 0 THEN 'KZ' ELSE 'kz' END FROM generate_series(0, 4) AS n"
        )
    project = Project.find()
    Sources.of(project).add(NewSource(slug="shop", kind="mysql", url="secret://env/SHOP_URL"))
    yield project
    Relaying(project).stop()


def test_two_databases_become_one_dataset(project):
    tables = {"o": TableSource.model_validate(ORDERS), "c": TableSource.model_validate(CUSTOMERS)}
    suggested = suggest_joins(project, tables)
    spec = {
        **JOINED,
        "group_by": ["c.country"],
        "measures": [{"name": "revenue", "fn": "sum", "of": "o.amount"}],
        "filters": {"all": [
            {"col": "o.created", "op": ">", "value": {"relative": "-1y"}}, {"col": "o.status", "op": "!=", "value": "paid"},
        ]},
        "order_by": [{"col": "country"}],
    }  # fmt: skip

    exact, ci = (preview(project, spec_of({**spec, "text_compare": mode})) for mode in ("exact", "ci"))
    everything = preview(project, spec_of(JOINED), rows=100)

    assert [(each.on, each.expect) for each in suggested] == [([["o.customer_id", "c.id"]], "many_to_one")]
    kz = sum(n for n in range(1, 101) if n % 5 % 2 == 0)
    assert exact.rows == [["KZ", f"{kz}.00"], ["kz", f"{5050 - kz}.00"]]
    assert ci.rows == [["KZ", "2500.00"]]  # without those that are paid, as MariaDB itself would say it
    assert exact.warnings == []
    assert "from the source shop, which filters by itself" in exact.plan[0]
    assert {column.name: column.type for column in everything.columns}["status"] == "text"
    assert len(everything.rows) == 100


def test_no_type_of_a_source_gets_into_a_result(project):
    sql = preview(project, spec_of(JOINED)).sql
    with builder_session(project, 10) as connection:
        found = connection.execute(f"SELECT * FROM ({sql}) AS r LIMIT 0".encode()).description
        names = [
            connection.execute("SELECT format_type(%s, NULL)", [each.type_code]).fetchone()[0]
            for each in found
        ]

    assert {"text", "smallint", "interval"} <= set(names)
    assert not [name for name in names if "src_shop" in name]

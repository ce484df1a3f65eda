"""Examples from the query log of a real server: pg_stat_statements, and the digests of MariaDB."""

import contextlib
from datetime import UTC, datetime

import psycopg
import pymysql
import pytest

from dteg.core.embedded import EmbeddedPostgres
from dteg.core.errors import EnvironmentProblemError
from dteg.core.project import Project
from dteg.metadata.gate import check_sql
from dteg.metadata.mysql import MysqlCollector
from dteg.metadata.profile import profiled
from dteg.metadata.querylog import log_examples
from dteg.sources.urls import parse_url
from dteg.testing.mariadb import mariadb_server
from tests.integration.metadata.conftest import SHOP, Shop

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 21, tzinfo=UTC)
ASKED = [
    "SELECT status, sum(amount) FROM orders WHERE amount > 17.25 GROUP BY status",
    "SELECT count(*) FROM customers WHERE email = 'someone7@example.com'",
    "SELECT count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.country = 'KZ'",
    "SELECT count(*) FROM canary WHERE n = 1",
]


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A project whose own server writes a query log, and whose shop was asked a lot."""
    root = tmp_path_factory.mktemp("logged")
    (root / "pipelines").mkdir()
    server = EmbeddedPostgres.at(tmp_path_factory.mktemp("server"))
    with pytest.MonkeyPatch.context() as patch:
        try:
            url = server.start()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
                connection.execute("ALTER SYSTEM SET fsync = off")
            server.stop()
            url = server.start()
            patch.setenv("DTEG_POSTGRES_URL", url)
            patch.setenv("DTEG_HOME", str(root))
            patch.delenv("DTEG_METADATA_URI", raising=False)
            shop = Shop(Project(root))
            shop.run(SHOP)
            shop.run("CREATE EXTENSION pg_stat_statements")
            for statement in [*ASKED, *ASKED, *ASKED]:
                shop.run(statement)
            yield shop
        finally:
            server.remove()


def of_log(shop):
    return [each for each in shop.metadata.examples() if each.origin == "querylog"]


def test_what_people_ask_becomes_examples_that_were_run(logged):
    report = logged.metadata.collect()
    found = of_log(logged)
    assert report.query_log == f"{len(found)} examples are from the query log"
    assert {each.question for each in found} == {
        "Total amount of orders per status where amount is more than 1.50",
        "Number of rows of orders and customers where country is 'DE'",
        "Number of rows of canary where n is 1",
    }
    assert {(each.status, each.verified_by) for each in found} == {("valid", "run")}
    assert "17.25" not in "".join(each.sql for each in found)
    published = "".join(document.model_dump_json() for document in logged.metadata.documents())
    assert "example.com" not in published
    assert "dteg_q" not in published


def test_the_next_collection_keeps_them_and_publishes_nothing(logged):
    logged.metadata.collect()
    before = of_log(logged)
    logged.later(hours=1)
    report = logged.metadata.collect()
    assert (report.published, report.tables_read) == (False, 0)
    assert of_log(logged) == before


def test_people_may_leave_them_out(logged):
    logged.metadata.collect()
    (unwanted,) = [each.id for each in of_log(logged) if "canary" in each.question]
    logged.write("examples.yaml", f"left_out: ['{unwanted}']\n")
    logged.metadata.collect()
    assert len(of_log(logged)) == 2
    logged.write("examples.yaml", "query_log: false\n")
    logged.metadata.collect()
    assert of_log(logged) == []


def test_that_a_log_is_not_there_is_said(shop):
    assert "pg_stat_statements is not installed" in shop.metadata.collect().query_log


def test_digests_of_mariadb_become_examples():
    options = ["--performance-schema=ON", "--performance-schema-digests-size=200"]
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(mariadb_server(*options))
        except EnvironmentProblemError as error:
            pytest.skip(f"no MariaDB here: {error}")
        server = parse_url(url, ("mysql", "mariadb"), "", 3306)
        access = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
        connection = stack.enter_context(contextlib.closing(pymysql.connect(autocommit=True, **access)))
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE shop")
            cursor.execute("USE shop")
            cursor.execute("CREATE TABLE orders (id int PRIMARY KEY, status varchar(9), email varchar(99))")
            cursor.execute(
                "INSERT INTO orders SELECT seq, IF(seq % 2, 'paid', 'open'), CONCAT(seq, '@example.com') FROM seq_1_to_40"
            )
            for _ in range(3):
                cursor.execute(
                    "SELECT status, COUNT(*) FROM orders WHERE status IN ('paid', 'x', 'y') GROUP BY status"
                )
                cursor.execute("SELECT COUNT(*) FROM orders WHERE email = '7@example.com'")
        entries = [found.entry for found in MysqlCollector(connection, "shop", NOW).tables()]
        assert [each.table_id for each in entries] == ["shop.orders"]
        collector = MysqlCollector(connection, "shop", NOW)
        (found,) = collector.tables()
        entry = profiled(found.entry, collector.sample(found))
        (made,) = log_examples(collector.query_log(), [entry], "mysql", [])
        verdict = check_sql(made.sql, "mysql", [entry], collector.prober)
        assert (verdict.status, verdict.row_count) == ("valid", 1)
        assert "status is one of 'open'" in made.question


def test_that_mariadb_writes_no_log_is_said(mariadb_url):
    server = parse_url(mariadb_url, ("mysql", "mariadb"), "", 3306)
    access = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    opened = contextlib.closing(pymysql.connect(autocommit=True, **access))
    with opened as connection, pytest.raises(EnvironmentProblemError, match="performance_schema is off"):
        MysqlCollector(connection, server.database, NOW).query_log()

"""MariaDB: the same collection, the same gate."""

import contextlib
from datetime import UTC, datetime

import pymysql
import pytest

from dteg.metadata.collect import Collection, Inputs
from dteg.metadata.gate import check_sql
from dteg.metadata.models import SourceInfo
from dteg.metadata.mysql import MysqlCollector
from dteg.metadata.notes import ExampleNote
from dteg.metadata.probers import Limits, MysqlProber
from dteg.metadata.publish import Publisher
from dteg.metadata.store import FolderStore
from dteg.sources.urls import parse_url

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SHOP = [
    "CREATE TABLE customers (id int PRIMARY KEY, email varchar(100), country char(2) COMMENT 'ISO code')",
    """CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status varchar(10), amount decimal(10,2),
    FOREIGN KEY (customer_id) REFERENCES customers (id))""",
    "CREATE TABLE payments (payment_no int PRIMARY KEY, order_id int)",
    "CREATE TABLE canary (n int)",
    "INSERT INTO canary VALUES (1)",
    "INSERT INTO customers SELECT seq, CONCAT('a', seq, '@example.com'), IF(seq % 2, 'KZ', 'DE') FROM seq_1_to_40",
    "INSERT INTO orders SELECT seq, 1 + seq % 40, IF(seq % 2, 'paid', 'open'), seq * 1.5 FROM seq_1_to_100",
    "INSERT INTO payments SELECT seq, seq FROM seq_1_to_50",
]
HOSTILE = [
    "DELETE FROM canary",
    "SELECT 1; DELETE FROM canary",
    "SELECT SLEEP(60)",
    "SELECT BENCHMARK(1000000000, MD5('a'))",
    "SELECT LOAD_FILE('/etc/passwd')",
    "SELECT * FROM orders INTO OUTFILE '/tmp/orders'",
    "SELECT @@version",
    "SELECT @x := 1",
    "SELECT GET_LOCK('a', 1)",
    "SELECT * FROM mysql.user",
    "SELECT * FROM information_schema.tables",
    "SELECT n FROM canary FOR UPDATE",
    "SELECT user()",
    "SELECT id FROM orders PROCEDURE ANALYSE()",
    "SELECT '\\'; DELETE FROM canary; -- '",
    "CALL evil()",
    "HANDLER canary OPEN",
]


@pytest.fixture
def database(mariadb_url):
    server = parse_url(mariadb_url, ("mysql", "mariadb"), "", 3306)
    connection = pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database,
        autocommit=True,
    )  # fmt: skip
    with contextlib.closing(connection):
        with connection.cursor() as cursor:
            for statement in SHOP:
                cursor.execute(statement)
        yield connection, server.database


def test_mariadb_is_collected_and_its_examples_are_run(database, tmp_path):
    connection, name = database
    publisher = Publisher(FolderStore(tmp_path), lambda: NOW)
    example = ExampleNote(
        question="What does each country spend?",
        sql="SELECT c.Country, SUM(o.amount) AS spent FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.country",
    )
    source = SourceInfo(name="shop", engine="mysql", dialect="mysql")

    def collect():
        collector = MysqlCollector(connection, name, NOW)
        return Collection(collector, publisher, source, Inputs(examples=[example]), clock=lambda: NOW).run()

    report = collect()
    assert (report.tables, report.examples["valid"], report.problems) == (4, 1, [])
    manifest = publisher.current()
    tables = {entry.table_id: publisher.document(entry).table for entry in manifest.tables}
    orders, customers = tables[f"{name}.orders"], tables[f"{name}.customers"]
    assert (orders.row_count, orders.primary_key, orders.column("amount").max) == (100, ["id"], "150.00")
    assert [each.value for each in orders.column("status").top_values] == ["open", "paid"]
    assert (customers.column("email").pii, customers.column("country").description) == ("email", "ISO code")
    assert [key.origin for key in orders.foreign_keys] == ["declared"]
    assert [key.origin for key in tables[f"{name}.payments"].foreign_keys] == ["ind"]
    assert "example.com" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert collect().tables_read == 0


def test_nothing_hostile_gets_through_to_mariadb(database):
    connection, name = database
    entries = [found.entry for found in MysqlCollector(connection, name, NOW).tables()]
    prober = MysqlProber(connection)
    verdicts = {sql: check_sql(sql, "mysql", entries, prober, Limits(timeout_s=0.5)) for sql in HOSTILE}
    # A text with a backslash is one text for MySQL: it may run, as the value that it is.
    harmless = {"SELECT '\\'; DELETE FROM canary; -- '"}
    assert {sql for sql, verdict in verdicts.items() if verdict.status == "valid"} <= harmless
    assert prober.run("SELECT 1) q; DELETE FROM canary; -- ", Limits()).problem
    with connection.cursor() as cursor:
        cursor.execute("SELECT n FROM canary")
        assert cursor.fetchall() == ((1,),)


def test_a_query_of_mariadb_has_an_end(database):
    connection, name = database
    entries = [found.entry for found in MysqlCollector(connection, name, NOW).tables()]
    slow = "SELECT COUNT(*) FROM orders a, orders b, orders c, orders d, orders e"
    verdict = check_sql(slow, "mysql", entries, MysqlProber(connection), Limits(timeout_s=0.3))
    assert verdict.status == "broken"
    assert check_sql("SELECT COUNT(*) FROM orders", "mysql", entries, MysqlProber(connection)).rows == [
        ["100"]
    ]

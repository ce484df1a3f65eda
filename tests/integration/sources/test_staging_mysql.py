"""Tables of MySQL and MariaDB copied, so that a warehouse without a foreign data wrapper has them too."""

import time

import pymysql
import pytest

from dteg.core.control import session
from dteg.sources.kinds import Link, MysqlOptions, kind_of
from dteg.sources.models import Kind, Mode
from dteg.sources.roles import ensure_roles, open_schema
from dteg.sources.urls import parse_url
from dteg.testing import frozen

pytestmark = pytest.mark.integration

TABLES = """
CREATE TABLE customers (id int unsigned PRIMARY KEY, name varchar(40), colour enum('red', 'blue'), is_new tinyint(1),
    total decimal(12,2), made_at timestamp NULL, day date, doc json, bits bit(8), big bigint unsigned, place point);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int unsigned, note text, FOREIGN KEY (customer_id) REFERENCES customers (id));
INSERT INTO customers VALUES (1, 'Ärger', 'red', 1, 1234567890.12, '2026-01-02 03:04:05', '2026-01-02', '{"a": 1}', b'10100000',
    18446744073709551615, POINT(1, 2));
INSERT INTO customers (id, name, day) VALUES (2, 'zero', '0000-00-00');
INSERT INTO orders VALUES (1, 1, 'x'), (2, NULL, NULL);
CREATE VIEW open_orders AS SELECT id FROM orders WHERE note IS NOT NULL;
"""


def connected(url):
    server = parse_url(url, ("mysql", "mariadb"), "", 3306)
    return pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, database=server.database,
        autocommit=True,
    )  # fmt: skip


def make_link(project, url):
    """Fill a database, and return how to reach it."""
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        for statement in TABLES.split(";\n"):
            if statement.strip():
                cursor.execute(statement)
    return Link(project, "shop", Kind.MYSQL, Mode.STAGED, url, MysqlOptions())


@pytest.fixture
def link(studio_project, mariadb_url):
    return make_link(studio_project, mariadb_url)


def stage(link):
    linker = kind_of(Kind.MYSQL).linker(Mode.STAGED)
    linker.check(link)
    tables = linker.introspect(link)
    with session(link.project) as connection:
        ensure_roles(connection)
        open_schema(connection, link.schema)
        return tables, linker.link_tables(link, connection, tables, lambda *_: None)


def test_tables_and_views_are_copied_with_keys_and_types(link):
    tables, problems = stage(link)
    assert problems == []
    by_name = {table.name: table for table in tables}
    assert set(by_name) == {"customers", "orders", "open_orders"}
    customers = by_name["customers"]
    assert customers.primary_key == ["id"]
    assert [key.table for key in by_name["orders"].foreign_keys] == ["customers"]
    assert "place: geometries are left out of the copy" in customers.problem
    assert "mysql_fdw" not in customers.problem
    assert "day: dates such as 0000-00-00 are nulls in the copy" in customers.problem
    with session(link.project) as connection:
        rows = connection.execute(
            "SELECT name, colour, is_new, total, made_at, day, doc ->> 'a', bits::text, big FROM src_shop.customers ORDER BY id"
        ).fetchall()
        types = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'src_shop.customers'::regclass"
            " AND attnum > 0 AND NOT attisdropped"
        ).fetchall()
        keys = connection.execute(
            "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p' ORDER BY 1"
        ).fetchall()
    assert (*rows[0][:4], str(rows[0][3])) == ("Ärger", "red", 1, rows[0][3], "1234567890.12")
    assert (rows[0][6], rows[0][7], int(rows[0][8])) == ("1", "10100000", 2**64 - 1)
    assert rows[1][5] is None  # 0000-00-00
    assert dict(types) == {column.name: column.type for column in customers.columns}
    assert {("src_shop.customers",), ("src_shop.orders",)} <= set(keys)


def test_one_table_that_fails_leaves_the_others_and_its_own_old_copy(link):
    tables, _ = stage(link)
    wrong = [
        table.model_copy(
            update={"columns": [*table.columns, table.columns[0].model_copy(update={"name": "gone"})]}
        )
        if table.name == "orders"
        else table
        for table in tables
    ]
    linker = kind_of(Kind.MYSQL).linker(Mode.STAGED)
    with session(link.project) as connection:
        (problem,) = linker.link_tables(link, connection, wrong, lambda *_: None)
        assert problem.table == "orders"
        assert connection.execute("SELECT count(*) FROM src_shop.orders").fetchone() == (2,)


def test_a_frozen_server_is_given_up_in_time_and_the_old_copy_stays(studio_project, mariadb_own_server):
    own = mariadb_own_server.url
    with connected(own) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS frozen_shop")
        cursor.execute("CREATE DATABASE frozen_shop")
    link = make_link(studio_project, own.rsplit("/", 1)[0] + "/frozen_shop")
    tables, _ = stage(link)
    linker = kind_of(Kind.MYSQL).linker(Mode.STAGED)
    with session(link.project) as connection, frozen(own):
        connection.execute("SET statement_timeout = 1500")
        began = time.monotonic()
        problems = linker.link_tables(link, connection, tables, lambda *_: None)
        seconds = time.monotonic() - began
        assert {problem.table for problem in problems} == {table.name for table in tables}
        assert seconds < 30  # a frozen server would never answer
        assert connection.execute("SELECT count(*) FROM src_shop.orders").fetchone() == (2,)


def test_the_password_is_in_no_message_and_a_server_that_is_not_there_is_told(link):
    linker = kind_of(Kind.MYSQL).linker(Mode.STAGED)
    assert linker.probe(link).ok
    gone = Link(
        link.project, "shop", Kind.MYSQL, Mode.STAGED, "mysql://ann:s3cret@127.0.0.1:1/shop", MysqlOptions()
    )
    probe = linker.probe(gone)
    assert (probe.ok, "s3cret" in probe.message) == (False, False)

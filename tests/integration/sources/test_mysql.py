"""MariaDB as a source of Debian's PostgreSQL: its types, its ways with texts, and what cannot be read."""

from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.sources.models import NewSource

pytestmark = pytest.mark.integration
# Type, value as SQL, type here, value as we show it.
TYPES = {
    "a_boolean": ("boolean", "1", "smallint", 1),
    "a_tinyint": ("tinyint", "-5", "smallint", -5),
    "a_tinyint_u": ("tinyint unsigned", "255", "smallint", 255),
    "a_smallint": ("smallint", "-7", "smallint", -7),
    "a_smallint_u": ("smallint unsigned", "65535", "integer", 65535),
    "a_mediumint": ("mediumint", "8", "integer", 8),
    "a_mediumint_u": ("mediumint unsigned", "16777215", "integer", 16777215),
    "a_int": ("int", "-9", "integer", -9),
    "a_int_u": ("int unsigned", "4294967295", "bigint", 4294967295),
    "a_bigint": ("bigint", "-9223372036854775808", "bigint", -9223372036854775808),
    "a_bigint_u": ("bigint unsigned", "18446744073709551615", "numeric(20,0)", "18446744073709551615"),
    "a_decimal": ("decimal(20,4)", "1234.5678", "numeric(20,4)", "1234.5678"),
    "a_float": ("float", "1.5", "real", 1.5),
    "a_double": ("double", "2.25", "double precision", 2.25),
    "a_bit1": ("bit(1)", "b'1'", "bytea", "\\x01"),
    "a_bit8": ("bit(8)", "b'10100101'", "bytea", "\\xa5"),
    "a_date": ("date", "'2024-02-29'", "date", "2024-02-29"),
    "a_datetime": ("datetime", "'2024-02-29 12:34:56'", "timestamp(0) without time zone", "2024-02-29 12:34:56"),
    "a_datetime6": (
        "datetime(6)", "'2024-02-29 12:34:56.123456'", "timestamp(6) without time zone", "2024-02-29 12:34:56.123456",
    ),
    "a_timestamp": ("timestamp null", "'2024-02-29 12:34:56'", "timestamp(0) without time zone", "2024-02-29 12:34:56"),
    "a_timestamp3": (
        "timestamp(3) null", "'2024-02-29 12:34:56.123'", "timestamp(3) without time zone", "2024-02-29 12:34:56.123",
    ),
    "a_time": ("time", "'-838:59:59'", "interval", "-838:59:59"),
    "a_time6": ("time(6)", "'12:34:56.123456'", "interval", "12:34:56.123456"),
    "a_year": ("year", "2024", "smallint", 2024),
    "a_char": ("char(5)", "'abc'", "text", "abc"),
    "a_varchar": ("varchar(50)", "'Ünïcode ☃ 🚀'", "text", "Ünïcode ☃ 🚀"),
    "a_tinytext": ("tinytext", "'t'", "text", "t"),
    "a_text": ("text", "repeat('é', 32767)", "text", "é" * 32767),
    "a_binary": ("binary(3)", "x'00ff10'", "bytea", "\\x00ff10"),
    "a_varbinary": ("varbinary(10)", "x'00ff'", "bytea", "\\x00ff"),
    "a_tinyblob": ("tinyblob", "x'01'", "bytea", "\\x01"),
    "a_varbinary8000": ("varbinary(8000)", "repeat('x', 8000)", "bytea", "\\x" + "78" * 8000),
    "a_enum": ("enum('x', 'Y z')", "'Y z'", "text", "Y z"),
    "a_set": ("set('p', 'q')", "'p,q'", "text", "p,q"),
    "a_uuid": ("uuid", "'123e4567-e89b-12d3-a456-426655440000'", "uuid", "123e4567-e89b-12d3-a456-426655440000"),
    "a_inet6": ("inet6", "'::1'", "inet", "::1"),
    "a_inet4": ("inet4", "'10.0.0.1'", "inet", "10.0.0.1"),
    "a_zero_date": ("date", "'0000-00-00'", "text", "0000-00-00"),
    "a_zero_datetime": ("datetime", "'0000-00-00 00:00:00'", "text", "0000-00-00 00:00:00"),
    "a_half_date": ("date", "'2024-00-10'", "text", "2024-00-10"),
}  # fmt: skip
LEFT_OUT = [
    "mediumtext",
    "longtext",
    "json",
    "varbinary(8001)",
    "blob",
    "mediumblob",
    "longblob",
    "point",
    "geometry",
    "polygon",
]


@pytest.fixture
def there(mariadb_url):
    """A cursor of the source."""
    parts = urlsplit(mariadb_url)
    connection = pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password, database=parts.path[1:],
        autocommit=True,
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        yield cursor


def new(url, **more):
    return NewSource(slug="shop", kind="mysql", url=url, **more)


def test_every_type_is_read_or_reported(debian_sources, mariadb_url, there):
    assert len(TYPES) + len(LEFT_OUT) >= 30
    for name, (type_, value, _, _) in TYPES.items():
        there.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v {type_})")
        there.execute(f"INSERT INTO {name} VALUES (1, {value}), (2, NULL)")
    for type_ in LEFT_OUT:
        there.execute(f"CREATE TABLE `z_{type_}` (id int PRIMARY KEY, v {type_})")
    report = debian_sources.add(new(mariadb_url))
    assert report.linked == len(TYPES) + len(LEFT_OUT)
    for name, (_, _, expected, value) in TYPES.items():
        page = debian_sources.rows("shop", name)
        assert (page.columns[1].type, page.rows) == (expected, [[1, value], [2, None]]), name
    told = {problem.table: problem for problem in report.problems}
    assert {name for name in told if name.startswith("z_")} == {f"z_{type_}" for type_ in LEFT_OUT}
    assert all("mode staged" in told[f"z_{type_}"].message for type_ in LEFT_OUT)
    assert told["z_json"].columns == ["v"]
    assert {"a_zero_date", "a_zero_datetime", "a_half_date", "a_bit1", "a_bit8"} <= set(told)


def test_texts_compare_as_they_are_whatever_the_source_thinks(debian_sources, mariadb_url, there):
    there.execute("CREATE TABLE customers (id int PRIMARY KEY, name varchar(20), INDEX (name))")
    there.execute("INSERT INTO customers VALUES (1, 'Ann'), (2, 'ann'), (3, 'ANN '), (4, 'bob')")
    there.execute("SELECT count(*) FROM customers WHERE name = 'ann'")
    assert there.fetchone() == (3,)
    debian_sources.add(new(mariadb_url))
    with (
        debian_sources.link_deadline("shop", 10),
        psycopg.connect(debian_sources.project.warehouse_url()) as hub,
    ):
        one = hub.execute("SELECT id FROM src_shop.customers WHERE name = 'ann'").fetchall()
        grouped = hub.execute(
            "SELECT count(*) FROM (SELECT DISTINCT name FROM src_shop.customers) x"
        ).fetchone()
        remote = hub.execute(
            "EXPLAIN VERBOSE SELECT id FROM src_shop.customers WHERE name = 'ann' AND id > 1"
        ).fetchall()
    assert one == [(2,)]
    assert grouped == (4,)
    (query,) = [line for (line,) in remote if "Remote query" in line]
    assert "`id` > 1" in query
    assert "ann" not in query


def test_averages_have_our_digits(debian_sources, mariadb_url, there):
    there.execute("CREATE TABLE n (id int PRIMARY KEY, v int)")
    there.execute("INSERT INTO n VALUES (1, 1), (2, 1), (3, 2)")
    debian_sources.add(new(mariadb_url))
    with (
        debian_sources.link_deadline("shop", 10),
        psycopg.connect(debian_sources.project.warehouse_url()) as hub,
    ):
        assert str(hub.execute("SELECT round(avg(v), 10) FROM src_shop.n").fetchone()[0]) == "1.3333333333"


def test_differences_of_unsigned_numbers_may_be_negative(debian_sources, mariadb_url, there):
    there.execute("CREATE TABLE n (id int PRIMARY KEY, v int unsigned)")
    there.execute("INSERT INTO n VALUES (1, 5)")
    debian_sources.add(new(mariadb_url))
    with (
        debian_sources.link_deadline("shop", 10),
        psycopg.connect(debian_sources.project.warehouse_url()) as hub,
    ):
        assert hub.execute("SELECT id FROM src_shop.n WHERE v - 10 < 0").fetchall() == [(1,)]


def test_nobody_can_write(debian_sources, mariadb_url, there):
    there.execute("CREATE TABLE n (id int PRIMARY KEY, v int)")
    there.execute("INSERT INTO n VALUES (1, 1)")
    debian_sources.add(new(mariadb_url))
    statements = [
        "INSERT INTO src_shop.n VALUES (2, 2)", "UPDATE src_shop.n SET v = 2", "DELETE FROM src_shop.n",
        "TRUNCATE src_shop.n", "COPY src_shop.n FROM PROGRAM 'echo 3,3' (FORMAT csv)",
    ]  # fmt: skip
    with (
        debian_sources.link_deadline("shop", 10),
        psycopg.connect(debian_sources.project.warehouse_url(), autocommit=True) as hub,
    ):
        for statement in statements:
            with pytest.raises(psycopg.Error):
                hub.execute(statement)
    there.execute("SELECT * FROM n")
    assert there.fetchall() == ((1, 1),)


def test_long_columns_are_read_whole_or_not_at_all(debian_sources, mariadb_url, there):
    """mysql_fdw ends a table at a value that it cannot hold, and says nothing: rows would be missing."""
    there.execute("CREATE TABLE posts (id int PRIMARY KEY, body longtext, data json, small blob, big blob)")
    there.execute(
        """INSERT INTO posts VALUES (1, repeat('é', 150000), '{"k": 1}', repeat('x', 8000), 'x'),"""
        " (2, 'short', NULL, 'x', repeat('x', 8001))"
    )
    there.execute(
        "CREATE TABLE latin (id int PRIMARY KEY, v text CHARACTER SET latin1, w varchar(9) CHARACTER SET latin1)"
    )
    there.execute("INSERT INTO latin VALUES (1, repeat('é', 65535), 'é'), (2, 'x', 'y')")
    debian_sources.add(new(mariadb_url))
    assert debian_sources.rows("shop", "posts").rows == [[1], [2]]
    assert debian_sources.rows("shop", "latin").rows == [[1, "é"], [2, "y"]]
    named = ["posts.body", "posts.data", "posts.small", "posts.big", "latin.v"]
    report = debian_sources.add(
        NewSource(slug="shop", kind="mysql", options={"long_columns": named}), replace=True
    )
    assert debian_sources.rows("shop", "posts").rows == [
        [1, "é" * 150_000, '{"k": 1}', "\\x" + "78" * 8000],
        [2, "short", None, "\\x78"],
    ]
    assert debian_sources.rows("shop", "latin").rows == [[1, "é" * 65_535, "é"], [2, "x", "y"]]
    told = {problem.table: problem for problem in report.problems}
    assert told["posts"].columns == ["body", "data", "big"]
    assert "big: left out" in told["posts"].message


def test_keys_and_references_are_known(debian_sources, mariadb_url, there):
    there.execute(
        "CREATE TABLE a (id int PRIMARY KEY, code char(3) NOT NULL UNIQUE, maybe int UNIQUE) COMMENT 'As'"
    )
    there.execute(
        "CREATE TABLE b (x int, y int, a_id int, PRIMARY KEY (y, x), FOREIGN KEY (a_id) REFERENCES a (id))"
    )
    debian_sources.add(new(mariadb_url))
    a, b = debian_sources.table("shop", "a"), debian_sources.table("shop", "b")
    assert (a.primary_key, a.unique_keys, a.description) == (["id"], [["code"]], "As")
    assert b.primary_key == ["y", "x"]
    assert [(key.columns, key.table, key.ref_columns) for key in b.foreign_keys] == [(["a_id"], "a", ["id"])]


def test_a_warehouse_without_the_wrapper_says_so(sources, mariadb_url):
    with pytest.raises(EnvironmentProblemError, match=r"does not have mysql_fdw.*--mode staged"):
        sources.add(new(mariadb_url, mode="fdw"))
    assert [source.slug for source in sources.sources()] == ["warehouse"]


@pytest.mark.parametrize(("kind", "extension"), [("mssql", "tds_fdw"), ("oracle", "oracle_fdw")])
def test_so_do_other_kinds(sources, kind, extension):
    with pytest.raises(EnvironmentProblemError, match=f"does not have {extension}"):
        sources.add(NewSource(slug="erp", kind=kind, url=f"{kind}://me:pw@127.0.0.1:1/erp"))


def test_a_wrapper_that_could_hang_needs_the_relay(debian_sources, mariadb_url, monkeypatch):
    monkeypatch.setenv("DTEG_RELAY", "off")
    with pytest.raises(EnvironmentProblemError, match="needs the relay"):
        debian_sources.add(new(mariadb_url, mode="fdw"))


def test_a_wrong_password_is_not_repeated(debian_sources, mariadb_url):
    wrong = mariadb_url.replace("dteg:", "dteg:hunter2x")
    probe = debian_sources.test(new(wrong, mode="fdw"))
    assert not probe.ok
    assert "Access denied" in probe.message
    assert "hunter2x" not in probe.message
    with pytest.raises(ConfigError, match="mysql://user:password@host"):
        debian_sources.add(new("mysql://nowhere", mode="fdw"))

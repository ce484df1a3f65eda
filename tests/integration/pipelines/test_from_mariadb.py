"""MariaDB to PostgreSQL, from a pipeline file: every type value by value, and only what is new by a cursor."""

from urllib.parse import urlsplit

import pymysql
import pytest

from dteg.core.errors import PermanentError
from tests.factories import run

# By column: type in MariaDB; type in PostgreSQL; a value as MariaDB reads it; the text PostgreSQL must have.
COLUMNS = {
    "c_tiny1": ("tinyint(1)", "smallint", "2", "2"),
    "c_tiny": ("tinyint", "smallint", "-128", "-128"),
    "c_tiny_u": ("tinyint unsigned", "smallint", "255", "255"),
    "c_small": ("smallint", "smallint", "-32768", "-32768"),
    "c_small_u": ("smallint unsigned", "integer", "65535", "65535"),
    "c_medium": ("mediumint", "integer", "-8388608", "-8388608"),
    "c_medium_u": ("mediumint unsigned", "integer", "16777215", "16777215"),
    "c_int": ("int", "integer", "-2147483648", "-2147483648"),
    "c_int_u": ("int unsigned", "bigint", "4294967295", "4294967295"),
    "c_big": ("bigint", "bigint", "-9223372036854775808", "-9223372036854775808"),
    "c_big_u": ("bigint unsigned", "numeric(20,0)", "18446744073709551615", "18446744073709551615"),
    "c_decimal": ("decimal(15,2)", "numeric(15,2)", "-9999999999999.9", "-9999999999999.90"),
    "c_decimal_wide": ("decimal(65,30)", "numeric(65,30)", f"{'9' * 35}.{'9' * 30}", f"{'9' * 35}.{'9' * 30}"),
    "c_float": ("float", "real", "16777216", "1.6777216e+07"),
    "c_double": ("double", "double precision", "0.30000000000000004", "0.30000000000000004"),
    "c_bit": ("bit(5)", "bit(5)", "b'00101'", "00101"),
    "c_bit64": ("bit(64)", "bit(64)", "~0", "1" * 64),
    "c_year": ("year", "smallint", "2155", "2155"),
    "c_date": ("date", "date", "'9999-12-31'", "9999-12-31"),
    "c_datetime": ("datetime(6)", "timestamp without time zone", "'1000-01-01 00:00:00.000001'", "1000-01-01 00:00:00.000001"),
    "c_timestamp": ("timestamp(6) NULL", "timestamp with time zone", "'2038-01-19 03:14:07.999999'", "2038-01-19 03:14:07.999999+00"),
    "c_time": ("time(6)", "interval", "'-838:59:59.5'", "-838:59:59.5"),
    "c_time_day": ("time", "interval", "'23:59:59'", "23:59:59"),
    "c_char": ("char(4)", "text", "'ab'", "ab"),
    "c_varchar": ("varchar(99)", "text", "'a\\nb\"c\\\\,\\\\N\\t😀𝄞'", 'a\nb"c\\,\\N\t😀𝄞'),
    "c_empty": ("varchar(9)", "text", "''", ""),
    "c_latin": ("varchar(20) CHARACTER SET latin1", "text", "'Zürich €'", "Zürich €"),
    "c_text": ("mediumtext", "text", "REPEAT('ü', 70000)", "ü" * 70000),
    "c_enum": ("enum('bad','very good')", "text", "'very good'", "very good"),
    "c_set": ("set('a','b','c d')", "text", "'c d,a'", "a,c d"),
    "c_json": ("json", "json", '\'{"b":1,  "a":[null, 1.0]}\'', '{"b":1,  "a":[null, 1.0]}'),
    "c_binary": ("binary(4)", "bytea", "X'00ff0a'", "\\x00ff0a00"),
    "c_varbinary": ("varbinary(9)", "bytea", "''", "\\x"),
    "c_blob": ("blob", "bytea", "X'fbfcfdfeff00'", "\\xfbfcfdfeff00"),
    "c_uuid": ("uuid", "uuid", "'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"),
    "c_inet": ("inet6", "inet", "'2001:db8::ff'", "2001:db8::ff/128"),
}  # fmt: skip

PIPELINE = """
pipeline:
  name: shop
  steps:
    - extract:
        type: mysql
        config: {{url: secret://env/SHOP, {source}}}
    - load:
        type: postgres
        config: {{table: raw.t}}
        {load}
"""


@pytest.fixture
def shop(mariadb_url, monkeypatch):
    """A function that runs SQL in an empty database of MariaDB."""
    monkeypatch.setenv("SHOP", mariadb_url)
    parts = urlsplit(mariadb_url)
    connection = pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password,
        database=parts.path.strip("/"), charset="utf8mb4", autocommit=True, init_command="SET time_zone = '+00:00'",
    )  # fmt: skip

    def sql(text):
        with connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall()

    yield sql
    connection.close()


@pytest.mark.parametrize(
    "load",
    ["write: replace", "write: merge\n        primary_key: [id]", "write: scd2\n        primary_key: [id]"],
)
def test_every_type_arrives_value_by_value_and_a_second_run_changes_nothing(warehouse, shop, load):
    shop(
        f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(f'{name} {type_}' for name, (type_, *_) in COLUMNS.items())})"
    )
    shop(f"INSERT INTO t VALUES (1, {', '.join(value for _, _, value, _ in COLUMNS.values())})")
    shop("INSERT INTO t (id) VALUES (2)")
    pipeline = warehouse.file(PIPELINE.format(source="table: t", load=load))
    run(pipeline, "first")
    again = run(pipeline, "second").load.rows_written
    assert again == (2 if "replace" in load else 0)
    for name, (_, type_, _, text) in COLUMNS.items():
        found = warehouse.sql(
            f"SELECT {name}::text, format_type(atttypid, atttypmod) FROM raw.t CROSS JOIN pg_attribute"
            f" WHERE attrelid = 'raw.t'::regclass AND attname = '{name}' ORDER BY id"
        )
        assert found == [(text, type_), (None, type_)], name


@pytest.mark.parametrize("load", ["write: append", "write: merge\n        primary_key: [id]"])
def test_a_cursor_reads_only_what_is_new_and_repeats_nothing(warehouse, shop, load):
    shop("CREATE TABLE t (id bigint unsigned PRIMARY KEY, name text, at timestamp(6) NULL)")
    shop(
        "INSERT INTO t SELECT seq, CONCAT('n', seq), '2026-01-01 00:00:00.5' + INTERVAL seq DIV 2 SECOND FROM seq_1_to_100"
    )
    pipeline = warehouse.file(PIPELINE.format(source="table: t", load=f"{load}\n        cursor: at"))
    assert run(pipeline, "1").load.rows_written == 100
    assert run(pipeline, "2").load.rows_written == 0
    # One more with the greatest time of the first run, and one that is later.
    shop("INSERT INTO t VALUES (101, 'same', '2026-01-01 00:00:50.5'), (102, 'later', '2026-02-01')")
    third = run(pipeline, "3")
    assert (third.load.rows_written, warehouse.sql("SELECT count(*), count(DISTINCT id) FROM raw.t")) == (
        2,
        [(102, 102)],
    )
    assert third.load.rows_read <= 3
    if "merge" in load:
        shop("UPDATE t SET name = 'changed', at = '2026-03-01' WHERE id = 1")
        assert run(pipeline, "4").load.rows_written == 1
        assert warehouse.sql("SELECT name FROM raw.t WHERE id = 1") == [("changed",)]


def test_zero_dates_stop_a_load_before_anything_is_visible(warehouse, shop):
    shop("SET SESSION sql_mode = ''")
    shop("CREATE TABLE t (id int PRIMARY KEY, born date)")
    shop("INSERT INTO t VALUES (1, '2026-01-01'), (2, '0000-00-00'), (3, '0000-00-00')")
    with pytest.raises(PermanentError, match="column born holds dates such as 0000-00-00 in 2 rows"):
        run(warehouse.file(PIPELINE.format(source="table: t", load="write: replace")), "1")
    assert warehouse.sql("SELECT to_regclass('raw.t')") == [(None,)]
    run(warehouse.file(PIPELINE.format(source="table: t, zero_dates: null", load="write: replace")), "2")
    assert warehouse.sql("SELECT id, born::text FROM raw.t ORDER BY id") == [
        (1, "2026-01-01"),
        (2, None),
        (3, None),
    ]

# ruff: noqa: DTZ001 - a `datetime` of MySQL has no zone
import contextlib
import socket
import struct
import sys
import tempfile
import threading
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from pathlib import Path
from random import Random
from time import monotonic, sleep
from urllib.parse import urlsplit

import pyarrow as pa
import pymysql
import pytest
import trustme
from pydantic import ValidationError

from dteg.connectors import Checkpoint, Stream
from dteg.core.errors import (
    ConfigError,
    EnvironmentProblemError,
    MissingExtraError,
    PermanentError,
    TransientError,
)
from dteg.core.types import sql_type
from dteg.pipelines.cursor import to_json
from dteg.testing.contract import contract_tests
from dteg.testing.mariadb import mariadb_server
from dteg.testing.samples import make_context
from dteg.testing.servers import fresh_port

from . import decode, wire
from .mysql import MysqlExtractor, MysqlExtractorConfig

pytestmark = pytest.mark.integration

URL = "secret://env/TEST_MARIADB"
ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(50), price decimal(8,2), seen_at timestamp NULL);
INSERT INTO orders VALUES (1, 'a', 1.5, '2026-01-01'), (2, NULL, NULL, '2026-01-02'), (3, '', -1, '2026-01-02'),
    (4, 'line\n"quoted", \\\\N', 0, NULL);
CREATE VIEW cheap AS SELECT id, name FROM orders WHERE price < 1;
"""


def connected(url):
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password,
        database=parts.path.strip("/"), charset="utf8mb4", autocommit=True, init_command="SET time_zone = '+00:00'",
    )  # fmt: skip


class Database:
    """An empty database whose URL the extractor finds in the environment."""

    def __init__(self, url):
        self.url, self.name = url, urlsplit(url).path.strip("/")
        self.connection = connected(url)

    def sql(self, text, *values):
        with self.connection.cursor() as cursor:
            for statement in filter(str.strip, text.split(";\n")):
                cursor.execute(statement, values or None)
            return cursor.fetchall()


@pytest.fixture
def database(mariadb_url, monkeypatch):
    monkeypatch.setenv("TEST_MARIADB", mariadb_url)
    database = Database(mariadb_url)
    database.sql(ORDERS)
    yield database
    database.connection.close()


@pytest.fixture
def orders_config(database):
    return {"url": URL, "tables": ["orders", f"{database.name}.cheap"]}


TestMysqlExtractor = contract_tests(
    MysqlExtractor,
    config="orders_config",
    bad_config=[
        {"tables": [], "table": None},
        {"table": "orders"},
        {"tables": [], "query": "SELECT 1"},
        {"columns": ["id"]},
        {"stream": "both"},
        {"batch_bytes": 1},
        {"url": "mysql://me:secret@localhost/db"},
        {"url": "postgresql://localhost/db"},
        {"tls": "verify_identity", "tls_cert": "client.pem"},
        {"tls_ca": "ca.pem"},
        {"zero_dates": "keep"},
    ],
    broken=lambda: [
        {"tables": ["nothing"]},
        {"tables": ["orders; DROP TABLE orders"]},
        {"url": f"mysql://me@127.0.0.1:{fresh_port()}/none"},
        {"tls": "verify_ca", "tls_ca": "/nowhere/ca.pem"},
    ],
    lazy=("pymysql",),
)


@pytest.fixture
def make(database, tmp_path):
    made = []

    def extractor(**config):
        made.append(MysqlExtractor(MysqlExtractorConfig(**{"url": URL, **config}), make_context(tmp_path)))
        return made[-1]

    yield extractor
    for each in made:
        each.close()


def read(extractor, cursor_field=None, since=None):
    (stream,) = extractor.streams()
    stream = Stream(stream.name, stream.schema, stream.primary_key, cursor_field)
    checkpoint = Checkpoint(cursor=since) if since is not None else None
    return [row for batch in extractor.read(stream, checkpoint) for row in batch.to_pylist()]


# --- values ------------------------------------------------------------------------------------------------

LONG = "é😀" * 40_000
# By column: type in MariaDB, the SQL type it arrives as, and per value what was written and what must be read.
COLUMNS = {
    "c_bool": ("tinyint(1)", "smallint", {"2": 2, "-1": -1}),
    "c_tiny": ("tinyint", "smallint", {"-128": -128, "127": 127}),
    "c_tiny_u": ("tinyint unsigned", "smallint", {"0": 0, "255": 255}),
    "c_small": ("smallint", "smallint", {"-32768": -32768, "32767": 32767}),
    "c_small_u": ("smallint unsigned", "integer", {"0": 0, "65535": 65535}),
    "c_medium": ("mediumint", "integer", {"-8388608": -8388608, "8388607": 8388607}),
    "c_medium_u": ("mediumint unsigned", "integer", {"0": 0, "16777215": 16777215}),
    "c_int": ("int", "integer", {"-2147483648": -(2**31), "2147483647": 2**31 - 1}),
    "c_int_u": ("int unsigned", "bigint", {"0": 0, "4294967295": 2**32 - 1}),
    "c_zerofill": ("int(6) zerofill", "bigint", {"42": 42, "0": 0}),
    "c_big": ("bigint", "bigint", {"-9223372036854775808": -(2**63), "9223372036854775807": 2**63 - 1}),
    "c_big_u": ("bigint unsigned", "numeric(20,0)", {"18446744073709551615": Decimal(2**64 - 1), "0": Decimal(0)}),
    "c_decimal": ("decimal(15,2)", "numeric(15,2)", {"-9999999999999.99": Decimal("-9999999999999.99"), "0.1": Decimal("0.10")}),
    "c_decimal_u": ("decimal(5,0) unsigned", "numeric(5,0)", {"99999": Decimal(99999), "0": Decimal(0)}),
    "c_decimal_wide": ("decimal(65,30)", "numeric(65,30)", {f"-{'9' * 35}.{'9' * 30}": Decimal(f"-{'9' * 35}.{'9' * 30}"), f"0.{'0' * 29}1": Decimal(f"0.{'0' * 29}1")}),
    "c_float": ("float", "real", {"16777217": 16777216.0, "0.1": struct.unpack("f", struct.pack("f", 0.1))[0]}),
    "c_float_md": ("float(10,3)", "real", {"1.005": struct.unpack("f", struct.pack("f", 1.005))[0], "-7777777.5": -7777777.5}),
    "c_double": ("double", "double precision", {"0.30000000000000004": 0.30000000000000004, "-2.2250738585072014e-308": -2.2250738585072014e-308}),
    "c_bit1": ("bit(1)", "bit(1)", {"b'1'": "1", "b'0'": "0"}),
    "c_bit64": ("bit(64)", "bit(64)", {"b'" + "1" * 64 + "'": "1" * 64, "b'101'": "0" * 61 + "101"}),
    "c_year": ("year", "smallint", {"1901": 1901, "0": 0}),
    "c_date": ("date", "date", {"'0001-01-01'": date(1, 1, 1), "'9999-12-31'": date(9999, 12, 31)}),
    "c_datetime": ("datetime(6)", "timestamp", {"'1000-01-01 00:00:00.000001'": datetime(1000, 1, 1, 0, 0, 0, 1), "'9999-12-31 23:59:59.999999'": datetime(9999, 12, 31, 23, 59, 59, 999999)}),
    "c_datetime0": ("datetime", "timestamp", {"'2026-03-29 02:30:00'": datetime(2026, 3, 29, 2, 30), "'1969-12-31 23:59:59'": datetime(1969, 12, 31, 23, 59, 59)}),
    "c_timestamp": ("timestamp(3) NULL", "timestamptz", {"'2038-01-19 03:14:07.999'": datetime(2038, 1, 19, 3, 14, 7, 999000, UTC), "'1970-01-01 00:00:01'": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)}),
    "c_time": ("time(6)", "interval", {"'-838:59:59.999999'": "-838:59:59.999999", "'25:00:00.5'": "25:00:00.500000"}),
    "c_char": ("char(4)", "text", {"'ab'": "ab", "''": ""}),
    "c_varchar": ("varchar(200)", "text", {"'a\\nb\"c\\\\\\t😀𝄞'": 'a\nb"c\\\t😀𝄞', "' '": " "}),
    "c_latin": ("varchar(20) CHARACTER SET latin1", "text", {"'Zürich €'": "Zürich €", "'NULL'": "NULL"}),
    "c_tinytext": ("tinytext", "text", {f"'{'x' * 255}'": "x" * 255, f"'{'x' * 250}'": "x" * 250}),
    "c_longtext": ("longtext", "text", {f"'{'y' * 251}'": "y" * 251, f"'{LONG}'": LONG}),
    "c_enum": ("enum('bad','very good','')", "text", {"'very good'": "very good", "''": ""}),
    "c_set": ("set('a','b','c d')", "text", {"'c d,a'": "a,c d", "''": ""}),
    "c_json": ("json", "json", {'\'{"b":1,  "a":[null, 1.0]}\'': '{"b":1,  "a":[null, 1.0]}', "'\"x\"'": '"x"'}),
    "c_binary": ("binary(4)", "bytea", {"X'00ff0a'": b"\x00\xff\x0a\x00", "X'61626364'": b"abcd"}),
    "c_varbinary": ("varbinary(300)", "bytea", {f"X'{'fb' * 252}'": b"\xfb" * 252, "''": b""}),
    "c_blob": ("longblob", "bytea", {f"REPEAT(X'00fe', {1 << 16})": b"\x00\xfe" * (1 << 16), "X'ff'": b"\xff"}),
    "c_uuid": ("uuid", "uuid", {"'123e4567-e89b-12d3-a456-426655440000'": "123e4567-e89b-12d3-a456-426655440000", "'00000000-0000-0000-0000-000000000000'": "00000000-0000-0000-0000-000000000000"}),
    "c_inet": ("inet6", "inet", {"'::1'": "::1", "'2001:db8::ff00:42:8329'": "2001:db8::ff00:42:8329"}),
}  # fmt: skip


@pytest.fixture
def everything(database):
    """A table with a column of every type: two rows of values, one of nulls."""
    defined = ", ".join(f"{name} {type_}" for name, (type_, _, _) in COLUMNS.items())
    database.sql(f"CREATE TABLE everything (id int PRIMARY KEY, {defined}) CHARACTER SET utf8mb4")
    for number in range(2):
        written = ", ".join(list(values)[number] for _, _, values in COLUMNS.values())
        database.sql(f"INSERT INTO everything VALUES ({number}, {written})")
    database.sql("INSERT INTO everything (id) VALUES (2)")
    return database


def expected_rows():
    rows = [
        {"id": number, **{name: list(values.values())[number] for name, (_, _, values) in COLUMNS.items()}}
        for number in range(2)
    ]
    return [*rows, {"id": 2, **dict.fromkeys(COLUMNS)}]


def test_every_type_arrives_as_it_was(make, everything):
    extractor = make(table="everything")
    (stream,) = extractor.streams()
    assert {each.name: sql_type(each) for each in stream.schema} == {
        "id": "integer",
        **{name: sql for name, (_, sql, _) in COLUMNS.items()},
    }
    for found, expected in zip(read(extractor), expected_rows(), strict=True):
        for name, value in expected.items():
            assert found[name] == value, name
            assert type(found[name]) is type(value), name


def test_small_blocks_give_the_same_rows(make, everything):
    extractor = make(table="everything", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = list(extractor.read(stream, None))
    assert len(batches) > 1
    assert [row for batch in batches for row in batch.to_pylist()] == expected_rows()


def test_doubles_arrive_with_every_bit(make, database):
    random = Random(7)
    values = [struct.unpack("d", random.randbytes(8))[0] for _ in range(2000)]
    values = [value for value in values if isfinite(value)]
    database.sql("CREATE TABLE doubles (id int PRIMARY KEY, d double, f float)")
    with database.connection.cursor() as cursor:
        singles = [value if abs(value) < 3e38 else 0.0 for value in values]
        rows = [
            (number, repr(value), repr(single))
            for number, (value, single) in enumerate(zip(values, singles, strict=True))
        ]
        cursor.executemany("INSERT INTO doubles VALUES (%s, %s, %s)", rows)
    found = sorted(read(make(table="doubles")), key=lambda row: row["id"])
    assert [row["d"] for row in found] == values
    assert [row["f"] for row in found] == [
        struct.unpack("f", struct.pack("f", value))[0] for value in singles
    ]


def test_a_row_longer_than_a_packet_of_the_protocol_arrives(make, database, mariadb_server_url):
    admin = Database(mariadb_server_url)
    (before,) = admin.sql("SELECT @@GLOBAL.max_allowed_packet")[0]
    admin.sql(f"SET GLOBAL max_allowed_packet = {1 << 27}")
    try:
        size = (1 << 24) + 5
        wide = f"REPEAT(X'fe', {size})"
        query = f"SELECT 1 AS id, {wide} AS a, 'x' AS b UNION ALL SELECT 2, '', 'y' UNION ALL SELECT 3, {wide}, 'z'"
        rows = read(make(query=query, stream="wide"))
        assert [(row["id"], len(row["a"]), row["b"]) for row in rows] == [
            (1, size, "x"),
            (2, 0, "y"),
            (3, size, "z"),
        ]
        assert rows[0]["a"] == b"\xfe" * size
        exact = f"SELECT REPEAT(X'ff', {(1 << 24) - 5}) AS a"  # fills its packet to the last byte
        assert [len(row["a"]) for row in read(make(query=exact, stream="exact"))] == [(1 << 24) - 5]
    finally:
        admin.sql(f"SET GLOBAL max_allowed_packet = {before}")
        admin.connection.close()


def test_tinyint1_may_be_a_boolean_and_another_value_is_refused_by_name(make, database):
    database.sql(
        "CREATE TABLE flags (id int, ok tinyint(1), n tinyint); INSERT INTO flags VALUES (1, 1, 1), (2, 0, 0), (3, NULL, NULL)".replace(
            "; ", ";\n"
        )
    )
    assert [row["ok"] for row in read(make(table="flags"))] == [1, 0, None]
    assert [row["ok"] for row in read(make(table="flags", tinyint1="boolean"))] == [True, False, None]
    assert [row["n"] for row in read(make(table="flags", tinyint1="boolean"))] == [1, 0, None]
    database.sql("INSERT INTO flags VALUES (4, 2, 2)")
    with pytest.raises(PermanentError, match=r"flags: column ok \(tinyint read as boolean\)"):
        read(make(table="flags", tinyint1="boolean"))


def test_time_may_be_a_time_of_day_and_a_longer_one_is_refused_by_name(make, database):
    database.sql("CREATE TABLE times (t time(3));\nINSERT INTO times VALUES ('12:34:56.789')")
    assert read(make(table="times", time_as="time")) == [{"t": time(12, 34, 56, 789000)}]
    database.sql("INSERT INTO times VALUES ('24:00:00')")
    with pytest.raises(PermanentError, match=r"times: column t .*cast the column to CHAR"):
        read(make(table="times", time_as="time"))
    assert read(make(table="times"))[1] == {"t": "24:00:00.000"}


ZERO = """
SET SESSION sql_mode = '';
CREATE TABLE zero (id int, d date, dt datetime(6), ts timestamp NULL);
INSERT INTO zero VALUES (1, '2026-01-01', '2026-01-01', '2026-01-01'), (2, '0000-00-00', '2026-01-01', NULL),
    (3, '2026-01-00', '0000-00-00', '0000-00-00'), (4, '0000-05-05', NULL, NULL), (5, NULL, NULL, NULL)
"""


@pytest.mark.parametrize(("column", "rows"), [("d", 3), ("dt", 1), ("ts", 1)])
def test_zero_dates_are_refused_by_column_and_count(make, database, column, rows):
    database.sql(ZERO)
    with pytest.raises(
        PermanentError, match=rf"zero: column {column} .*0000-00-00 in {rows} rows.*zero_dates: null"
    ):
        read(make(table="zero", columns=["id", column]))


def test_zero_dates_may_be_read_as_null(make, database):
    database.sql(ZERO)
    rows = read(make(table="zero", zero_dates="null"))
    assert [(row["d"], row["dt"], row["ts"]) for row in rows] == [
        (date(2026, 1, 1), datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)), (None, datetime(2026, 1, 1), None),
        (None, None, None), (None, None, None), (None, None, None),
    ]  # fmt: skip


def test_a_date_that_is_none_is_refused_even_where_zero_dates_are_null(make, database):
    database.sql(
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES';\nCREATE TABLE odd (d date);\nINSERT INTO odd VALUES ('2026-02-31')"
    )
    with pytest.raises(PermanentError, match=r"odd: column d \(date read as date\)"):
        read(make(table="odd", zero_dates="null"))


def test_a_geometry_is_refused_by_name_and_can_be_left_out(make, database):
    database.sql(
        "CREATE TABLE places (id int, spot point);\nINSERT INTO places VALUES (1, ST_GeomFromText('POINT(1 2)'))"
    )
    with pytest.raises(ConfigError, match=r"column 'spot' of type point cannot be read; .*ST_AsText"):
        list(make(table="places").streams())
    assert read(make(table="places", columns=["id"])) == [{"id": 1}]
    assert read(make(query="SELECT ST_AsText(spot) AS spot FROM places", stream="p")) == [
        {"spot": "POINT(1 2)"}
    ]


def test_values_do_not_depend_on_the_settings_of_the_server(make, database, mariadb_server_url):
    database.sql(
        "CREATE TABLE settings (c char(5), ts timestamp NULL);\nINSERT INTO settings VALUES ('a', '2026-07-01 12:00:00')"
    )
    admin = Database(mariadb_server_url)
    before = admin.sql("SELECT @@GLOBAL.sql_mode, @@GLOBAL.time_zone")[0]
    admin.sql(
        "SET GLOBAL sql_mode = 'STRICT_TRANS_TABLES,PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES';\nSET GLOBAL time_zone = '+09:00'"
    )
    try:
        rows = read(make(table="settings"), "ts", "2026-07-01T12:00:00+00:00")
        assert rows == [{"c": "a", "ts": datetime(2026, 7, 1, 12, tzinfo=UTC)}]
    finally:
        admin.sql("SET GLOBAL sql_mode = %s", before[0])
        admin.sql("SET GLOBAL time_zone = %s", before[1])
        admin.connection.close()


# --- what is read ------------------------------------------------------------------------------------------


def test_null_is_not_an_empty_text_and_a_view_has_no_key(make):
    assert [row["name"] for row in read(make(table="orders"))] == ["a", None, "", 'line\n"quoted", \\N']
    assert [next(iter(make(table=name).streams())).primary_key for name in ("orders", "cheap")] == [
        ("id",),
        (),
    ]


def test_the_primary_key_is_in_its_own_order_and_known_only_when_all_of_it_is_read(make, database):
    database.sql("CREATE TABLE pairs (a int, b int, c int, PRIMARY KEY (b, a))")
    (whole,) = make(table="pairs").streams()
    (part,) = make(table="pairs", columns=["a", "c"]).streams()
    assert (whole.primary_key, part.primary_key) == (("b", "a"), ())
    assert part.schema.names == ["a", "c"]


def test_a_query_may_end_in_a_semicolon_or_a_comment(make):
    for query in (
        "SELECT id FROM orders WHERE id < 3;",
        "SELECT id FROM orders WHERE id < 3 -- the first ones",
    ):
        assert [row["id"] for row in read(make(query=query, stream="few"))] == [1, 2]


def test_a_query_that_writes_is_refused_and_changes_nothing(make, database):
    database.sql("CREATE SEQUENCE s")
    with pytest.raises(PermanentError, match="must not write"):
        read(make(query="SELECT NEXTVAL(s) AS n", stream="numbers"))
    assert database.sql("SELECT NEXTVAL(s)") == ((1,),)


def test_a_table_without_rows_has_its_schema_and_no_batches(make, database):
    database.sql("CREATE TABLE nothing (a int, b text)")
    extractor = make(table="nothing")
    (stream,) = extractor.streams()
    assert [sql_type(each) for each in stream.schema] == ["integer", "text"]
    assert list(extractor.read(stream, None)) == []


def test_two_columns_of_one_name_are_refused(make):
    with pytest.raises(
        PermanentError, match=r"Duplicate column name 'a'; give one of the columns another name"
    ):
        list(make(query="SELECT 1 AS a, 2 AS a", stream="twice").streams())


NAMES = [
    'with "quotes"',
    "back`tick",
    "per%cent",
    "semi;colon",
    "back\\slash",
    "한글",
    "select",
    "a" * 64,
    "-- comment",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_works_for_table_and_column(make, database, name):
    quoted = "`" + name.replace("`", "``") + "`"
    with database.connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {quoted} ({quoted} int PRIMARY KEY, f float, b bit(3))")
        cursor.execute(f"INSERT INTO {quoted} VALUES (1, 0.5, b'101'), (2, NULL, NULL)")
    assert read(make(table=name), name, 2) == [{name: 2, "f": None, "b": None}]
    assert read(make(table=name, columns=["b", name]))[0] == {"b": "101", name: 1}


# --- cursors -----------------------------------------------------------------------------------------------

CURSORS = [
    name
    for name in COLUMNS
    if name not in ("c_bit1", "c_bit64", "c_time", "c_json", "c_binary", "c_varbinary", "c_blob", "c_inet")
]


@pytest.mark.parametrize("column", CURSORS)
def test_the_cursor_is_inclusive_for_every_type(make, everything, column):
    values = [row[column] for row in expected_rows()[:2]]
    for since in values:
        rows = read(make(table="everything", columns=["id", column]), column, to_json(since))
        assert [row[column] for row in rows] == [value for value in values if value >= since]


def test_a_text_cursor_is_compared_byte_by_byte(make, database):
    database.sql("CREATE TABLE words (w varchar(9)) COLLATE utf8mb4_general_ci")
    words = ["A", "a", "B", "b", "a ", "a\t", "é", "😀", "'; DROP TABLE words; --"[:9], "a\\"]
    for word in words:
        database.sql("INSERT INTO words VALUES (%s)", word)
    for since in words:
        found = [row["w"] for row in read(make(table="words"), "w", since)]
        assert sorted(found) == sorted(word for word in words if word.encode() >= since.encode())


def test_a_saved_position_that_does_not_fit_is_refused(make):
    with pytest.raises(ConfigError, match=r"position '1 OR 1=1' does not fit column 'id'.*--full-refresh"):
        read(make(table="orders"), "id", "1 OR 1=1")


# --- snapshots, memory, faults -----------------------------------------------------------------------------

BIG = "CREATE TABLE big AS SELECT seq AS id, REPEAT('x', %s) AS name FROM seq_1_to_%s"


def test_all_batches_of_a_stream_are_of_one_snapshot(make, database):
    database.sql(BIG % (100, 20_000))
    extractor = make(table="big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    first = next(batches)
    database.sql("DELETE FROM big WHERE id > 10000;\nINSERT INTO big VALUES (0, 'new')")
    rest = list(batches)
    assert first.num_rows + sum(batch.num_rows for batch in rest) == 20_000
    assert len(rest) > 5


def test_memory_does_not_grow_with_the_rows(make, database):
    database.sql(BIG % (200, 100_000))
    extractor = make(table="big", batch_bytes=1 << 18)
    (stream,) = extractor.streams()
    before, most = pa.total_allocated_bytes(), 0
    for _ in extractor.read(stream, None):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8 << 20  # of 20 MB


def test_a_killed_connection_is_transient(make, database):
    database.sql(BIG % (500, 100_000))
    extractor = make(table="big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    next(batches)
    for (number,) in database.sql(
        "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    ):
        database.sql(f"KILL {number}")
    with pytest.raises(TransientError):
        list(batches)


def test_an_error_in_the_middle_of_the_rows_is_raised(make, database):
    database.sql(BIG % (100, 1500))
    query = "SELECT id, name, (SELECT id FROM big AS b WHERE b.id IN (big.id, IF(big.id = 1400, 1, 0))) AS n FROM big"
    with pytest.raises(PermanentError, match="more than 1 row"):
        read(make(query=query, stream="broken", batch_bytes=1 << 16))


def test_a_read_that_is_given_up_ends_on_the_server_too(make, database):
    database.sql(BIG % (500, 100_000))
    extractor = make(table="big", batch_bytes=1 << 16)
    (stream,) = extractor.streams()
    batches = extractor.read(stream, None)
    next(batches)
    batches.close()
    extractor.close()
    others = (
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )
    deadline = monotonic() + 10
    while database.sql(others) != ((0,),):
        assert monotonic() < deadline
        sleep(0.05)


def test_the_statement_timeout_ends_a_read(make):
    extractor = make(query="SELECT SLEEP(20) AS x", stream="slow", statement_timeout_s=0.2)
    with pytest.raises(PermanentError, match="raise statement_timeout_s"):
        read(extractor)


def test_a_silent_source_is_given_up(make):
    extractor = make(query="SELECT SLEEP(20) AS x", stream="slow", idle_timeout_s=0.3)
    with pytest.raises(TransientError, match=r"sent nothing for 0\.3 s"):
        read(extractor)


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_wrong_password_is_permanent_and_not_shown(make, database, monkeypatch):
    parts = urlsplit(database.url)
    monkeypatch.setenv("TEST_PASSWORD", "wrong-and-private")
    url = f"mysql://{parts.username}@127.0.0.1:{parts.port}/{database.name}"
    with pytest.raises(PermanentError, match=r"Access denied .*check user and password") as caught:
        make(url=url, password="secret://env/TEST_PASSWORD", table="orders").check()
    assert "wrong-and-private" not in str(caught.value)
    monkeypatch.setenv("TEST_PASSWORD", parts.password)
    assert len(read(make(url=url, password="secret://env/TEST_PASSWORD", table="orders"))) == 4


def test_a_port_where_nothing_answers_is_transient(make):
    with pytest.raises(TransientError, match="Connection refused"):
        make(url=f"mysql://me@127.0.0.1:{fresh_port()}/d", table="t").check()


def test_a_host_that_does_not_exist_is_permanent(make, monkeypatch):
    def nowhere(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", nowhere)
    with pytest.raises(PermanentError, match=r"there is no host 'db.invalid'"):
        make(url="mysql://me@db.invalid/d", table="t").check()


def test_an_unknown_table_column_or_option_names_the_near_miss(make, database):
    with pytest.raises(PermanentError, match=r'no table test_\w+\.oders; did you mean "orders"\?'):
        make(table="oders").check()
    with pytest.raises(ConfigError, match=r"'orders' has no column 'nme'; did you mean \"name\"\?"):
        make(table="orders", columns=["nme"]).check()
    with pytest.raises(ConfigError, match="unknown option 'ssl'"):
        make(url=f"mysql://me@127.0.0.1/{database.name}?ssl=1", table="orders").check()
    with pytest.raises(ConfigError, match=r"write database.table"):
        make(url="mysql://me@127.0.0.1", table="orders").check()


def test_without_the_driver_the_extra_is_named(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymysql", None)
    for use in (MysqlExtractor.check, lambda extractor: extractor.change_sensor().fingerprint()):
        with pytest.raises(MissingExtraError, match=r'uv pip install "dteg\[mysql\]"'):
            use(make(table="orders"))


def test_a_user_without_rights_is_told_so(make, database, monkeypatch):
    parts = urlsplit(database.url)
    database.sql("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'p@ss:w/ö'")
    database.sql(f"GRANT SELECT ON {database.name}.orders TO reader@'127.0.0.1'")
    try:
        monkeypatch.setenv(
            "READER", f"mariadb://reader:p%40ss%3Aw%2F%C3%B6@127.0.0.1:{parts.port}/{database.name}"
        )
        assert len(read(make(url="secret://env/READER", table="orders"))) == 4
        with pytest.raises(PermanentError, match=r"denied .*right to SELECT"):
            make(url="secret://env/READER", table="cheap").check()
    finally:
        database.sql("DROP USER reader@'127.0.0.1'")


# --- sensor, TLS, threads ----------------------------------------------------------------------------------


def test_the_sensor_sees_changes_in_one_second_and_a_query_has_none(make, database):
    sensor = make(table="orders").change_sensor()
    seen = [sensor.fingerprint()]
    for name in ("b", "c"):
        database.sql("UPDATE orders SET name = %s WHERE id = 1", name)
        seen.append(sensor.fingerprint())
    assert len(set(seen)) == 3
    assert sensor.fingerprint() == seen[-1]
    assert make(query="SELECT 1 AS a", stream="s").change_sensor() is None


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    """A server with a certificate for 127.0.0.1, and the file of its authority."""
    folder = tmp_path_factory.mktemp("tls", numbered=True)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    with contextlib.ExitStack() as stack:
        # The server's user must be able to read them.
        readable = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dteg-tls-")))
        readable.chmod(0o755)
        certificate.cert_chain_pems[0].write_to_path(readable / "cert.pem")
        certificate.private_key_pem.write_to_path(readable / "key.pem")
        for path in readable.iterdir():
            path.chmod(0o644)
        try:
            url = stack.enter_context(
                mariadb_server(
                    f"--ssl-cert={readable / 'cert.pem'}",
                    f"--ssl-key={readable / 'key.pem'}",
                    "--require-secure-transport=ON",
                )
            )
        except EnvironmentProblemError as error:
            pytest.skip(f"no MariaDB here: {error}")
        yield url, ca


def test_tls_is_used_and_the_certificate_checked(make, tls_server, monkeypatch, tmp_path):
    url, ca = tls_server
    monkeypatch.setenv("TLS", url)
    query = {
        "url": "secret://env/TLS",
        "stream": "s",
        "query": "SELECT id, REPEAT('x', 100) AS x FROM (SELECT seq AS id FROM seq_1_to_50000) AS t",
    }
    for tls in ("preferred", "required"):
        assert len(read(make(**query, tls=tls))) == 50_000
    for tls in ("verify_ca", "verify_identity"):
        assert len(read(make(**query, tls=tls, tls_ca=str(ca)))) == 50_000
        with pytest.raises(PermanentError, match=r"certificate verify failed.*check tls, tls_ca"):
            make(**query, tls=tls).check()
    with pytest.raises(PermanentError, match=r"denied|secure transport"):
        make(**query, tls="disabled").check()
    monkeypatch.setenv("TLS", url.replace("127.0.0.1", "localhost"))
    assert make(**query, tls="verify_ca", tls_ca=str(ca)).config.tls == "verify_ca"
    with pytest.raises(PermanentError, match="certificate verify failed"):
        make(**query, tls="verify_identity", tls_ca=str(ca)).check()
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with pytest.raises(PermanentError, match="certificate verify failed"):
        make(**query, tls="verify_ca", tls_ca=str(other)).check()


def test_a_server_without_tls_is_refused_where_tls_is_required(make):
    with pytest.raises(PermanentError, match=r"SSL|TLS"):
        make(table="orders", tls="required").check()


def test_two_sources_in_one_config_are_refused():
    with pytest.raises(ValidationError, match="exactly one of table, tables and query"):
        MysqlExtractorConfig(url="mysql://h/d", table="a", query="SELECT 1", stream="x")


def test_extractors_in_threads_do_not_disturb_each_other(make):
    results = []
    threads = [threading.Thread(target=lambda: results.append(read(make(table="orders")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(rows) for rows in results] == [4] * 4


# --- bytes, without a server -------------------------------------------------------------------------------


def length_of(value):
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size])
    mark, width = next((m, w) for m, w in ((252, 2), (253, 3), (254, 8)) if size < 1 << (8 * w))
    return bytes([mark]) + size.to_bytes(width, "little")


def packet(payload):
    return len(payload).to_bytes(3, "little") + b"\x07" + payload


def stream_of(rows, end=b"\xfe\x00\x00\x02\x00"):
    payloads = [b"".join(length_of(value) + (value or b"") for value in row) for row in rows]
    return b"".join(map(packet, [*payloads, end]))


def blocks_of(data, chunk, block_bytes):
    rows, blocks = wire._Rows(block_bytes), []
    for at in range(0, len(data), chunk):
        block = rows.take(data[at : at + chunk])
        blocks += [block] if block else []
    return rows, blocks


@pytest.mark.unit
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 64, 1000, 1 << 20])
def test_rows_are_found_wherever_the_bytes_are_cut(chunk):
    sizes = (0, 1, 250, 251, 255, 256, 4000, 65_535, 65_536)
    rows = [(b"\xfe" * size, None, b"", b"\xff", bytes([size % 256]) * (size // 2)) for size in sizes]
    for block_bytes in (1, 300, 1 << 20):
        state, blocks = blocks_of(stream_of(rows), chunk, block_bytes)
        columns = [list(decode.columns_of(block, 5)) for block in blocks]
        found = [
            tuple(column[n].as_py() for column in block) for block in columns for n in range(len(block[0]))
        ]
        assert found == rows
        assert (state.ended, state.error) == (True, b"")


@pytest.mark.unit
def test_an_error_after_rows_keeps_the_rows_before_it():
    error = b"\xff\x25\x05#70100Query execution was interrupted"
    state, blocks = blocks_of(stream_of([(b"a",), (b"b",)], error), 4, 1 << 20)
    assert [len(block.starts) for block in blocks] == [2]
    assert state.error == error


@pytest.mark.unit
@pytest.mark.parametrize(
    "payload",
    [b"\x05ab", b"\x02abc", b"\xfc\xff", b"\xfd\xff\xff\x7f", b"\xfe\xff\xff\xff\xff\x00\x00\x00\x00", b"\xfa", b"\x00\x00", b""],
)  # fmt: skip
def test_lengths_that_do_not_add_up_are_refused(payload):
    _, blocks = blocks_of(packet(b"\x03abc") + packet(payload) + packet(b"\xfe\x00\x00\x02\x00"), 1 << 20, 1)
    with pytest.raises(PermanentError, match="do not add up"):
        [list(decode.columns_of(block, 1)) for block in blocks]

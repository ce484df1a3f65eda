"""Every type arrives as it was, and is a cursor that nothing is lost at."""

# ruff: noqa: DTZ001 - a `datetime` of MySQL has no zone
import struct
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isfinite
from random import Random

import pytest

from dteg.core.errors import ConfigError, PermanentError
from dteg.core.types import sql_type
from dteg.pipelines.cursor import to_json

from .conftest import Database, read

pytestmark = pytest.mark.integration

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

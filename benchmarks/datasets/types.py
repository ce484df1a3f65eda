"""One table of MariaDB with a column of each type: what arrives, what is reported, and what is lost in silence."""

import re
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.datasets.worlds import World
from benchmarks.registry.cases import Case
from dteg.core.errors import DtegError

# Type and values of two rows, as SQL; among them those that a bare foreign table breaks on.
TYPES: dict[str, tuple[str, str, str]] = {
    "c_tinyint": ("tinyint", "-128", "127"),
    "c_tinyint_u": ("tinyint unsigned", "0", "255"),
    "c_boolean": ("boolean", "true", "false"),
    "c_smallint": ("smallint", "-32768", "32767"),
    "c_smallint_u": ("smallint unsigned", "0", "65535"),
    "c_mediumint": ("mediumint", "-8388608", "8388607"),
    "c_int": ("int", "-2147483648", "2147483647"),
    "c_int_u": ("int unsigned", "0", "4294967295"),
    "c_bigint": ("bigint", "-9223372036854775808", "9223372036854775807"),
    "c_bigint_u": ("bigint unsigned", "0", "18446744073709551615"),
    "c_decimal": ("decimal(12,2)", "-1.25", "9999999999.99"),
    "c_decimal_wide": ("decimal(65,30)", "1.5", "-2.000000000000000000000000000001"),
    "c_float": ("float", "1.5", "-2.25"),
    "c_double": ("double", "1e100", "-0.125"),
    "c_bit1": ("bit(1)", "b'1'", "b'0'"),
    "c_bit8": ("bit(8)", "b'10101010'", "b'00000001'"),
    "c_char": ("char(10)", "'abc'", "''"),
    "c_varchar": ("varchar(100)", "'Grüße'", "'日本'"),
    "c_tinytext": ("tinytext", "'a'", "NULL"),
    "c_text": ("text", "'line\\nline'", "'tab\\ttab'"),
    "c_mediumtext": ("mediumtext", "'a'", "'b'"),
    "c_longtext": ("longtext", "repeat('x', 70000)", "''"),
    "c_json": ("json", "'{\"a\": [1, 2]}'", "'null'"),
    "c_enum": ("enum('new','paid','sent')", "'new'", "'sent'"),
    "c_set": ("set('a','b','c')", "'a,c'", "''"),
    "c_date": ("date", "'2026-11-21'", "'1000-01-01'"),
    "c_date_zero": ("date", "'0000-00-00'", "'2026-01-01'"),
    "c_time": ("time", "'12:34:56'", "'-838:59:59'"),
    "c_time6": ("time(6)", "'12:34:56.123456'", "'00:00:00'"),
    "c_datetime": ("datetime", "'2026-11-21 12:34:56'", "'9999-12-31 23:59:59'"),
    "c_datetime6": ("datetime(6)", "'2026-11-21 12:34:56.123456'", "'2026-01-01'"),
    "c_datetime_zero": ("datetime", "'0000-00-00 00:00:00'", "'2026-01-01'"),
    "c_timestamp": ("timestamp", "'2026-11-21 12:34:56'", "'2001-01-01'"),
    "c_year": ("year", "2026", "1999"),
    "c_binary": ("binary(4)", "x'00ff0102'", "x'00000000'"),
    "c_varbinary": ("varbinary(100)", "x'00ff'", "x''"),
    "c_blob": ("blob", "x'deadbeef'", "NULL"),
    "c_longblob": ("longblob", "x'00'", "NULL"),
    "c_uuid": ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", "NULL"),
    "c_inet6": ("inet6", "'2001:db8::1'", "'::ffff:10.0.0.1'"),
    "c_point": ("point", "ST_GeomFromText('POINT(1 2)')", "NULL"),
    "c_geometry": ("geometry", "ST_GeomFromText('LINESTRING(0 0,1 1)')", "NULL"),
    "c_generated": ("int AS (1 + 1) VIRTUAL", "DEFAULT", "DEFAULT"),
}


def make(cursor: Any) -> None:
    """Make the table with two rows."""
    cursor.execute("SET SESSION sql_mode = ''")
    columns = ", ".join(
        f"{name} {type_} NULL" if " AS " not in type_ else f"{name} {type_}"
        for name, (type_, _, _) in TYPES.items()
    )
    cursor.execute(f"CREATE TABLE every_type (id int PRIMARY KEY, {columns})")
    for number, place in ((1, 1), (2, 2)):
        values = ", ".join(each[place] for each in TYPES.values())
        cursor.execute(f"INSERT INTO every_type VALUES ({number}, {values})")


# What both sides write in one way, so that values can be compared as texts.
COMPARED = (
    "tinyint", "boolean", "smallint", "mediumint", "int", "bigint", "decimal", "char", "varchar", "tinytext", "text", "enum",
    "set", "date", "datetime", "year", "uuid",
)  # fmt: skip


def types(world: World, cursor: Any) -> Case:
    """Read each column of the linked table, and compare its values with what MariaDB itself says."""
    try:
        table = world.sources.table("shop", "every_type")
    except DtegError as error:
        return Case({"columns": len(TYPES), "whole_failures": 1, "silent": len(TYPES)}, [str(error)])
    told = {column.name for column in table.columns}
    readable, failed, wrong = [], {}, []
    for name in (name for name in TYPES if name in told):
        values, problem = _read(world, table.relation, name)
        if problem:
            failed[name] = problem
            continue
        readable.append(name)
        cursor.execute(f"SELECT CAST({name} AS char) FROM every_type ORDER BY id")
        expected = [_plain(value) for (value,) in cursor.fetchall()]
        if (
            TYPES[name][0].split("(")[0].split()[0] in COMPARED
            and [_plain(value) for value in values] != expected
        ):
            wrong.append(f"{name}: {values} instead of {expected}")
    reported = [name for name in TYPES if re.search(rf"\b{name}\b", table.problem)]
    silent = [name for name in TYPES if (name not in told or name in failed) and name not in reported]
    notes = [f"reported: {', '.join(reported)}, such as: {table.problem[:200]}"] if reported else []
    notes += [f"{name} ({TYPES[name][0]}): {failed.get(name, 'left out without a word')}" for name in silent]
    return Case(
        {
            "columns": len(TYPES), "readable": len(readable), "silent": len(silent), "wrong": len(wrong),
            "whole_failures": 0 if table.linked else 1,
        },
        notes + wrong,
    )  # fmt: skip


def _plain(value: Any) -> str | None:
    """Return a value so that texts of both sides can be compared: no zeros behind the point, true as 1."""
    if value is None:
        return None
    text = {"true": "1", "false": "0"}.get(str(value), str(value))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read(world: World, relation: Any, name: str) -> tuple[list[Any], str]:
    """Return the values of a column as texts, and what went wrong."""
    query = sql.SQL("SELECT {}::text FROM {} ORDER BY id").format(
        sql.Identifier(name), sql.Identifier(relation.schema_, relation.name)
    )
    try:
        with world.reading() as connection:
            rows = connection.execute(query.as_string(connection).encode()).fetchall()
    except psycopg.Error as error:
        return [], " ".join(str(error).split())[:120]
    return [value for (value,) in rows], "" if len(rows) == 2 else f"{len(rows)} rows instead of 2"

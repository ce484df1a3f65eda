"""Counts on random tables, compared with a plain Python evaluation of the same rows."""

import math
import random
import re
from collections import Counter
from decimal import Decimal

import psycopg
import pytest
from psycopg import sql

from dteg.core.identifiers import TableName
from dteg.quality import AcceptedValues, FormatCheck, NullCheck, RangeCheck, Unique, evaluate

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TABLES = 250
RULES_PER_TABLE = 6
TABLE = TableName("public", "t")

TEXTS = [
    "",
    " ",
    "a",
    "A",
    "ab",
    "a@b",
    "it's",
    '"',
    "%s",
    "\\",
    "a\nb",
    "é",
    "e\u0301",
    "김",
    "🙂",
    "NULL",
    "{}",
    "1",
    "x" * 90,
]
TYPES = {
    "smallint": ["0", "1", "-1", "32767", "-32768"],
    "bigint": ["0", "1", "9223372036854775807", "-9223372036854775808", "9007199254740993"],
    "numeric": ["0", "0.1", "0.10", "-5.25", "NaN", "12345678901234567890.123", "Infinity"],
    "real": ["0.1", "-0", "0", "NaN", "Infinity", "-Infinity", "3.5"],
    "double precision": ["0.1", "-0", "0", "NaN", "Infinity", "-Infinity", "1e300"],
    "text": TEXTS,
    "varchar(100)": TEXTS,
    "date": ["2024-02-29", "2024-01-01", "1999-12-31", "infinity", "-infinity"],
    "timestamp": ["2024-02-29 00:00:00", "2024-01-01 23:59:59", "infinity", "-infinity"],
}
NUMBERS = ("smallint", "bigint", "numeric", "real", "double precision")
FLOATS = ("real", "double precision")
BOUNDS = {
    "number": [
        0,
        1,
        -1,
        0.1,
        0.5,
        -0.5,
        3.5,
        100,
        9007199254740992,
        2**63 - 1,
        10**25,
        "0.10",
        "12345678901234567890.122",
    ],
    "text": TEXTS,
    "time": ["2024-01-01", "2024-02-29", "1999-12-31"],
}
PATTERNS = [
    "^a",
    "b$",
    "^$",
    "^.$",
    "[^@]+@[^@]+$",
    r"^\d+$",
    "(?i)^A",
    "김|é",
    "'",
    "^[[:space:]]*$",
    r"\.",
    "^(?:a|it's)$",
]


def kind_of(sql_type):
    return "number" if sql_type in NUMBERS else "time" if sql_type in ("date", "timestamp") else "text"


def fill(connection, columns, rng):
    """Make a random table and return its rows as PostgreSQL prints them."""
    names = [sql.Identifier(name) for name in columns]
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(name, sql.SQL(kind))
        for name, kind in zip(names, columns.values(), strict=True)
    )
    connection.execute("DROP TABLE IF EXISTS t")
    connection.execute(sql.SQL("CREATE TABLE t ({})").format(definitions))
    with connection.cursor().copy("COPY t FROM STDIN") as copy:
        for _ in range(rng.choice([0, 1, 5, 40])):
            copy.write_row(
                [None if rng.random() < 0.2 else rng.choice(TYPES[kind]) for kind in columns.values()]
            )
    shown = sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names)
    rows = connection.execute(sql.SQL("SELECT {} FROM t").format(shown)).fetchall()
    connection.commit()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def random_rule(columns, rng):
    name = rng.choice(list(columns))
    kind = kind_of(columns[name])
    if rng.random() < 0.35:
        chosen = rng.sample(list(columns), rng.randint(1, min(3, len(columns))))
        return rng.choice([NullCheck, Unique])(columns=chosen)
    choice = rng.randrange(3)
    if choice == 0:
        return FormatCheck(column=name, pattern=rng.choice(PATTERNS))
    bounds = BOUNDS[kind] if columns[name] != "real" else [0, 0.1, -0.5, 3.5]
    if choice == 1:
        return AcceptedValues(column=name, values=rng.choices(bounds, k=rng.randint(1, 4)))
    low, high = sorted(rng.choices(bounds, k=2), key=lambda bound: order(bound, kind))
    if isinstance(low, str) != isinstance(high, str):
        return RangeCheck(column=name, max=high)
    return RangeCheck(column=name, **rng.choice([{"min": low}, {"max": high}, {"min": low, "max": high}]))


def order(text, kind):
    """Return a value that compares and hashes as PostgreSQL compares the text's value."""
    text = str(text)
    if kind == "text":
        return text
    if kind == "time":
        return {"infinity": (1, ""), "-infinity": (-1, "")}.get(
            text, (0, text if " " in text else f"{text} 00:00:00")
        )
    number = Decimal(text)
    return (1, Decimal(0)) if number.is_nan() else (0, number)


def value_of(text, sql_type):
    if sql_type in FLOATS and text is not None:
        number = float(text)
        return (1, Decimal(0)) if math.isnan(number) else (0, Decimal(repr(number)))
    return None if text is None else order(text, kind_of(sql_type))


def python_count(rule, rows, columns):
    """Count failing rows without SQL."""
    if isinstance(rule, NullCheck):
        return sum(any(row[name] is None for name in rule.columns) for row in rows)
    if isinstance(rule, Unique):
        keys = [tuple(value_of(row[name], columns[name]) for name in rule.columns) for row in rows]
        return sum(count - 1 for count in Counter(key for key in keys if None not in key).values())
    texts = [row[rule.column] for row in rows if row[rule.column] is not None]
    if isinstance(rule, FormatCheck):
        # In PostgreSQL `$` is only the very end and `.` is any character.
        pattern = re.compile(rule.pattern.replace("$", r"\Z").replace("[:space:]", r"\s"), re.DOTALL)
        return sum(not pattern.search(text) for text in texts)
    sql_type, kind = columns[rule.column], kind_of(columns[rule.column])
    values = [value_of(text, sql_type) for text in texts]
    if isinstance(rule, AcceptedValues):
        accepted = {order(as_column(value, sql_type), kind) for value in rule.values}
        return sum(value not in accepted for value in values)
    nan = (1, Decimal(0))
    low, high = (
        None if bound is None else order(as_column(bound, sql_type), kind) for bound in (rule.min, rule.max)
    )
    return sum(
        (low is not None and value < low)
        or (high is not None and value > high)
        or (kind == "number" and value == nan)
        for value in values
    )


def as_column(value, sql_type):
    """A bound of a float column is itself a float."""
    return repr(float(value)) if sql_type in FLOATS else value


def test_counts_equal_those_of_python(postgres_url):
    """250 random tables, 6 rules each.

    Tried: `<` for `>` in `_outside_range`, leaving out the NaN of `_outside_range`, `sum(n)` for
    `sum(n - 1)` in `key_scan`, and dropping its `IS NOT NULL` each make this fail.
    """
    rng = random.Random(20240502)
    compared = nonzero = 0
    with psycopg.connect(postgres_url) as connection:
        for number in range(TABLES):
            columns = {f"c{i} {'%' * (i % 2)}": rng.choice(list(TYPES)) for i in range(rng.randint(1, 5))}
            rows = fill(connection, columns, rng)
            rules = [random_rule(columns, rng) for _ in range(RULES_PER_TABLE)]
            for rule, result in zip(rules, evaluate(postgres_url, TABLE, rules), strict=True):
                expected = (python_count(rule, rows, columns), len(rows))
                assert (result.failing, result.total) == expected, (
                    number,
                    columns,
                    rule,
                    result.message,
                    rows,
                )
                compared += 1
                nonzero += result.failing > 0
    assert compared == TABLES * RULES_PER_TABLE
    assert nonzero > compared / 4

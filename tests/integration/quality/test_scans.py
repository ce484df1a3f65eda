"""At most two scans of the table, however many rules; and masked values never come out."""

import json
import time

import psycopg
import pytest
from pydantic import TypeAdapter

from dteg.core.identifiers import TableName
from dteg.quality import Rule, evaluate

pytestmark = pytest.mark.integration

RULES = TypeAdapter(list[Rule])
TABLE = TableName("public", "t")
DDL = """
CREATE TABLE t (id int PRIMARY KEY, a int, b int, s text, at timestamptz);
INSERT INTO t SELECT g, g, g % 7, 'v' || g, now() FROM generate_series(1, 1000) g
"""
KEEPING = [
    {"type": "null_check", "columns": ["id", "a"]},
    {"type": "format_check", "column": "s", "pattern": "^v"},
    {"type": "range", "column": "a", "min": 1},
    {"type": "accepted_values", "column": "b", "values": [0, 1, 2, 3, 4, 5, 6]},
    {"type": "unique", "columns": ["id"]},
    {"type": "unique", "columns": ["a"]},
    {"type": "unique", "columns": ["a", "b"]},
    {"type": "unique", "columns": ["s"]},
    {"type": "record_count_match", "expected": 1000},
    {"type": "data_freshness", "column": "at", "max_age": "1h"},
    {"type": "schema_validation", "columns": {"id": "int"}},
]
BROKEN = [
    {"type": "range", "column": "at", "min": "not a time"},
    {"type": "range", "column": "at", "max": "nor this"},
    {"type": "null_check", "columns": ["missing"]},
]


def scans(url):
    with psycopg.connect(url, autocommit=True) as connection:
        # A session counts its scans when it ends, and it ends a moment after its client has closed it.
        for _ in range(500):
            others = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
            ).fetchone()
            if others[0] == 0:
                break
            time.sleep(0.01)
        row = connection.execute(
            "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 't'"
        ).fetchone()
    return row[0]


def make_table(url):
    with psycopg.connect(url) as connection:
        connection.execute(DDL)
        # A parallel plan counts a scan for each worker.
        connection.execute("ALTER TABLE t SET (parallel_workers = 0)")


@pytest.mark.parametrize(
    ("rules", "most"),
    [
        (KEEPING, 2),
        (KEEPING + BROKEN, 2),
        ([rule for rule in KEEPING if rule["type"] != "unique"], 1),
        (
            [{"type": "unique", "columns": ["id", "s"]}],
            1,
        ),  # the primary key proves it; only the rows are counted
        ([{"type": "schema_validation", "columns": {"id": "int"}}], 0),
    ],
)
def test_all_rules_together_read_the_table_at_most_twice(postgres_url, rules, most):
    """Tried: with `key_scan` called once per key in `Checker._measure` this counts 4 scans and fails."""
    make_table(postgres_url)
    before = scans(postgres_url)
    results = evaluate(postgres_url, TABLE, RULES.validate_python(rules))
    assert [result.passed for result in results] == [rule not in BROKEN for rule in rules]
    assert scans(postgres_url) - before == most


def test_masked_values_never_come_out(postgres_url):
    """Tried: with `is_masked` always false in `dteg.quality.compiler`, the canaries appear and this fails."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            """
            CREATE TABLE t ("Email" text PRIMARY KEY, card numeric, n int, at timestamptz);
            INSERT INTO t SELECT 'canary' || g || '@x', 990077, g % 2, '1999-09-09' FROM generate_series(1, 9) g
            """
        )
    rules = [
        {"type": "null_check", "columns": ["Email"]},
        {"type": "format_check", "column": "Email", "pattern": "^x"},
        {"type": "range", "column": "Email", "max": "a"},
        {"type": "range", "column": "card", "max": 1},
        {"type": "range", "column": "n", "max": 0},
        {"type": "range", "column": "card", "max": "12x"},
        {"type": "accepted_values", "column": "card", "values": [1]},
        {"type": "unique", "columns": ["card"]},
        {"type": "unique", "columns": ["card", "n"]},
        {"type": "data_freshness", "column": "at", "max_age": "1h"},
    ]
    masked = frozenset({"email", "card", "at"})
    results = evaluate(postgres_url, TABLE, RULES.validate_python(rules), masked_columns=masked)
    assert [result.passed for result in results] == [True] + [False] * 9
    assert results[4].sample[0] == {"Email": "**********", "n": "1"}
    told = json.dumps([result.to_json() for result in results]) + repr(results)
    for canary in ("canary", "990077", "1999", "days old"):
        assert canary not in told

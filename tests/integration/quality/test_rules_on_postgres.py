"""Each rule on a real server: what passes, what fails, and what is passed over."""

from datetime import UTC, datetime

import psycopg
import pytest
from pydantic import TypeAdapter

from dteg.core.errors import ConfigError, TransientError
from dteg.core.identifiers import TableName
from dteg.quality import NullCheck, Rule, check_names, evaluate

pytestmark = pytest.mark.integration

RULES = TypeAdapter(list[Rule])
TABLE = TableName("public", "t")
NOW = datetime(2024, 5, 2, 12, tzinfo=UTC)


@pytest.fixture
def check(postgres_url):
    """Make table t from SQL, check rules on it, and return the results."""

    def run(ddl, *rules, table=TABLE, **options):
        with psycopg.connect(postgres_url) as connection:
            connection.execute(ddl)
        return evaluate(postgres_url, table, RULES.validate_python(rules), now=lambda: NOW, **options)

    return run


def table_of(sql_type, *values):
    rows = ", ".join(f"({value})" for value in values)
    return f"CREATE TABLE t (x {sql_type}); INSERT INTO t VALUES {rows}"


@pytest.mark.parametrize(
    ("sql_type", "values", "rule", "failing"),
    [
        ("text", ["NULL", "''", "'a'"], {"type": "null_check", "columns": ["x"]}, 1),
        ("float8", ["NULL", "'NaN'"], {"type": "null_check", "columns": ["x"]}, 1),
        ("text", ["NULL", "''", "'a@b'", "'김@한'", "'ab'"], {"type": "format_check", "column": "x", "pattern": "^[^@]+@[^@]+$"}, 2),
        ("text", [r"E'a\nb'", "'a%b'", "'a''b'"], {"type": "format_check", "column": "x", "pattern": "^a%b$"}, 2),
        ("bigint", ["1", "22", "-3"], {"type": "format_check", "column": "x", "pattern": r"^\d$"}, 2),
        ("jsonb", ["'{\"a\": 1}'", "'[]'"], {"type": "format_check", "column": "x", "pattern": "^\\{"}, 1),
        ("int", ["NULL", "-1", "0", "9", "10"], {"type": "range", "column": "x", "min": 0, "max": 9.5}, 2),
        ("bigint", ["9007199254740993"], {"type": "range", "column": "x", "max": 9007199254740992}, 1),
        ("smallint", ["5"], {"type": "range", "column": "x", "min": 10**30}, 1),
        ("smallint", ["5"], {"type": "range", "column": "x", "min": "-1e999999999"}, 0),
        ("numeric(9,2)", ["0.10", "0.09", "'NaN'", "NULL"], {"type": "range", "column": "x", "min": 0.1}, 2),
        ("real", ["0.1", "0.2"], {"type": "range", "column": "x", "max": 0.1}, 1),
        ("float8", ["'NaN'", "'inf'", "'-inf'", "0"], {"type": "range", "column": "x", "min": 0}, 2),
        ("float8", ["'NaN'", "'inf'", "'-inf'", "0"], {"type": "range", "column": "x", "max": 0}, 2),
        ("date", ["'infinity'", "'-infinity'", "'2024-02-29'", "NULL"], {"type": "range", "column": "x", "min": "2024-01-01", "max": "2024-12-31"}, 2),
        ("timestamptz", ["'2024-01-01 00:30+01'"], {"type": "range", "column": "x", "min": "2024-01-01"}, 1),
        ("text", ["'a'", "'B'", "'é'", "''"], {"type": "range", "column": "x", "min": "A", "max": "z"}, 2),
        ("text", ["NULL", "''", "'it''s'", "'{\"}'", "'AA'"], {"type": "accepted_values", "column": "x", "values": ["it's", '{"}', "AA"]}, 1),
        ("char(4)", ["'ab'", "'cd'"], {"type": "accepted_values", "column": "x", "values": ["ab"]}, 1),
        ("int", ["1", "2", "NULL"], {"type": "accepted_values", "column": "x", "values": [1, "3"]}, 1),
        ("int", ["1", "2"], {"type": "accepted_values", "column": "x", "values": [1, 2.5, 10**30]}, 1),
        ("real", ["0.1", "'NaN'"], {"type": "accepted_values", "column": "x", "values": [0.1]}, 1),
        ("numeric", ["0.10", "0.2"], {"type": "accepted_values", "column": "x", "values": [0.1]}, 1),
        ("bool", ["true", "false", "NULL"], {"type": "accepted_values", "column": "x", "values": [True]}, 1),
        ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], {"type": "accepted_values", "column": "x", "values": ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]}, 0),
        ("text", ["'a'", "'a'", "'a'", "'b'", "NULL", "NULL", "''", "''"], {"type": "unique", "columns": ["x"]}, 3),
        ("float8", ["'NaN'", "'NaN'", "0", "'-0'"], {"type": "unique", "columns": ["x"]}, 2),
    ],
)  # fmt: skip
def test_failing_rows_are_counted(check, sql_type, values, rule, failing):
    [result] = check(table_of(sql_type, *values), rule)
    assert (result.failing, result.total) == (failing, len(values)), result.message
    assert result.passed == (failing == 0)
    assert bool(result.sample) == (failing > 0)


def test_domains_and_enums_are_checked_as_the_type_below(check):
    results = check(
        """
        CREATE DOMAIN small AS int; CREATE DOMAIN smaller AS small; CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE t (x smaller, m mood); INSERT INTO t VALUES (1, 'sad'), (7, 'ok')
        """,
        {"type": "range", "column": "x", "max": 5},
        {"type": "accepted_values", "column": "m", "values": ["ok", "glad"]},
        {"type": "range", "column": "m", "max": "sad"},
    )
    assert [result.failing for result in results] == [1, 1, 1]


def test_unique_over_several_columns_passes_over_null_in_any(check):
    ddl = "CREATE TABLE t (a int, b int, c int); INSERT INTO t VALUES (1,1,1), (1,1,2), (1,2,2), (1,NULL,2), (1,NULL,2)"
    results = check(
        ddl,
        {"type": "unique", "columns": ["a", "b"]},
        {"type": "unique", "columns": ["b", "a"], "severity": "warn"},
        {"type": "unique", "columns": ["c"]},
        {"type": "unique", "columns": ["b", "c"], "max_failing": 1},
    )
    assert [result.failing for result in results] == [1, 1, 3, 0]
    assert results[0].sample == [{"a": "1", "b": "1", "count(*)": "2"}]


@pytest.mark.parametrize(
    ("index", "proven"),
    [
        ("CREATE UNIQUE INDEX ON t (a)", True),
        ("ALTER TABLE t ADD UNIQUE (a) DEFERRABLE", True),
        ("CREATE UNIQUE INDEX ON t (a) INCLUDE (b)", True),
        ("CREATE UNIQUE INDEX ON t (a, b)", False),
        ("CREATE UNIQUE INDEX ON t (a) WHERE b > 0", False),
        ("CREATE UNIQUE INDEX ON t (lower(a))", False),
        ('CREATE UNIQUE INDEX ON t (a COLLATE "C")', False),
        ("CREATE INDEX ON t (a)", False),
        ("CREATE UNIQUE INDEX ON t (a); CREATE TABLE child () INHERITS (t)", False),
    ],
)
def test_only_a_whole_unique_index_proves_uniqueness(postgres_url, index, proven):
    from dteg.quality import Unique
    from dteg.quality.catalogue import read_relation
    from dteg.quality.compiler import is_proven_unique

    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE t (a text, b int)")
        connection.execute(index)
        relation = read_relation(connection, TABLE)
    assert is_proven_unique(Unique(columns=["a"]), relation) is proven


def test_duplicates_that_inheritance_lets_in_are_found(check):
    ddl = """CREATE TABLE t (a int PRIMARY KEY); CREATE TABLE child () INHERITS (t);
             INSERT INTO t VALUES (1); INSERT INTO child VALUES (1)"""
    [result] = check(ddl, {"type": "unique", "columns": ["a"]})
    assert result.failing == 1


@pytest.mark.parametrize(
    ("limit", "passed"),
    [
        ({"max_failing": 29}, True),
        ({"max_failing": 28}, False),
        ({"max_failing_ratio": 0.29}, True),  # in binary 0.29 * 100 is 28.999999999999996
        ({"max_failing_ratio": 0.289}, False),
    ],
)
def test_some_failing_rows_may_be_accepted(check, limit, passed):
    ddl = "CREATE TABLE t AS SELECT g AS x FROM generate_series(1, 100) AS g"
    [result] = check(ddl, {"type": "range", "column": "x", "min": 30, **limit})
    assert (result.passed, result.failing) == (passed, 29)
    assert result.message.startswith("public.t: 29 of 100 rows have x below 30")
    assert bool(result.sample) != passed


@pytest.mark.parametrize(
    ("rule", "source_rows", "passed", "failing"),
    [
        ({"expected": 10}, None, True, 0),
        ({"expected": 12}, None, False, 2),
        ({"expected": 12, "tolerance_rows": 2}, None, True, 2),
        ({"expected": 8, "tolerance": 0.25}, None, True, 2),
        ({"expected": 8, "tolerance": 0.24}, None, False, 2),
        ({"against": "source"}, 10, True, 0),
        ({"against": "source"}, 11, False, 1),
        ({"against": "public.other"}, None, False, 7),
        ({"against": "source"}, None, True, 0),
        ({"against": "public.nowhere"}, None, False, 0),
    ],
)
def test_record_counts(check, rule, source_rows, passed, failing):
    ddl = "CREATE TABLE t AS SELECT g FROM generate_series(1, 10) g; CREATE TABLE other AS SELECT g FROM generate_series(1, 3) g"
    [result] = check(ddl, {"type": "record_count_match", **rule}, source_rows=source_rows)
    assert (result.passed, result.failing) == (passed, failing), result.message


@pytest.mark.parametrize(
    ("sql_type", "values", "passed", "message"),
    [
        ("timestamptz", ["'2024-05-02 13:00+02'", "NULL"], True, "1.0 hours old; within 2h"),
        ("timestamptz", ["'2024-05-02 11:59:59+02'"], False, "2.0 hours old; older than 2h"),
        ("timestamp", ["'2024-05-02 10:00'"], True, "2.0 hours old"),
        ("date", ["'2024-05-01'"], False, "36.0 hours old"),
        ("timestamptz", ["'infinity'", "'2024-05-01'"], False, "older than 2h"),
        ("timestamptz", ["'infinity'", "NULL"], False, "no row has a finite x"),
        ("timestamptz", ["'290000-01-01'"], True, "in the future"),
        ("date", ["'4000-01-01 BC'"], False, "days old"),
    ],
)
def test_freshness(check, sql_type, values, passed, message):
    [result] = check(table_of(sql_type, *values), {"type": "data_freshness", "column": "x", "max_age": "2h"})
    assert result.passed is passed
    assert message in result.message


def test_an_empty_table_is_not_fresh_but_keeps_all_other_rules(check):
    results = check(
        "CREATE TABLE t (x timestamptz)",
        {"type": "data_freshness", "column": "x", "max_age": "2h"},
        {"type": "null_check", "columns": ["x"], "max_failing_ratio": 0.0},
        {"type": "unique", "columns": ["x"]},
        {"type": "record_count_match", "expected": 0},
    )
    assert [result.passed for result in results] == [False, True, True, True]


@pytest.mark.parametrize(
    ("columns", "allow_extra", "faults"),
    [
        ({"id": "bigint", "n": "numeric(15,2)", "s": "varchar(9)", "at": "timestamptz"}, True, []),
        ({"ID": "bigint"}, True, [("ID", None)]),
        ({"id": "INT8", "n": "decimal", "s": "character varying", "f": "float(24)", "at": "timestamp(3) with time zone"}, False, []),
        ({"id": "integer", "n": "numeric(15)", "s": "text"}, True, [("id", "bigint"), ("n", "numeric(15,2)"), ("s", "character varying(9)")]),
        ({"id": "bigint", "n": "numeric", "s": "varchar", "f": "real"}, False, [("at", "timestamp(3) with time zone")]),
    ],
)  # fmt: skip
def test_schemas(check, columns, allow_extra, faults):
    ddl = "CREATE TABLE t (id bigint, n numeric(15,2), s varchar(9), f real, at timestamptz(3))"
    [result] = check(ddl, {"type": "schema_validation", "columns": columns, "allow_extra": allow_extra})
    assert [(fault["column"], fault["found"]) for fault in result.sample] == faults, result.message
    assert (result.passed, result.failing) == (not faults, len(faults))


def test_one_bad_rule_takes_no_other_down(check):
    ddl = "CREATE TABLE t (a int, d date, j json); INSERT INTO t VALUES (1, '2024-01-01', '{}'), (1, NULL, '{}')"
    rules = [
        {"type": "null_check", "columns": ["d"]},
        {"type": "null_check", "columns": ["missing"]},
        {"type": "range", "column": "d", "min": "2024-13-01"},
        {"type": "range", "column": "d", "min": 5},
        {"type": "unique", "columns": ["j"]},
        {"type": "unique", "columns": ["a"]},
        {"type": "schema_validation", "columns": {"a": "no_such_type"}},
        {"type": "schema_validation", "columns": {"a": "int("}},
        {"type": "record_count_match", "expected": 2},
    ]
    results = check(ddl, *rules)
    assert [result.passed for result in results] == [False] * 8 + [True]
    assert [result.failing for result in results] == [1, 0, 0, 0, 0, 1, 0, 0, 0]
    for result, name in zip(results[1:8], ["missing", "d", "d", "j", "a", "a", ""], strict=True):
        assert name in result.message
    assert 'date/time field value out of range: "2024-13-01"' in results[2].message


def test_a_row_that_stops_the_server_harms_its_own_rule_only(check):
    """A view can fail at a row; the text of that error may hold the row's value and is not told."""
    ddl = """CREATE TABLE base (a int, s text); INSERT INTO base VALUES (1, 'canary-1'), (2, '7');
             CREATE VIEW t AS SELECT a, s::int AS n FROM base"""
    results = check(ddl, {"type": "null_check", "columns": ["n"]}, {"type": "range", "column": "a", "max": 1})
    assert [(result.passed, result.failing) for result in results] == [(False, 0), (False, 1)]
    assert "InvalidTextRepresentation (22P02)" in results[0].message
    assert "canary" not in str(results)


def test_a_missing_table_fails_every_check(check):
    results = check(
        "SELECT 1",
        {"type": "null_check", "columns": ["x"]},
        {"type": "schema_validation", "columns": {"x": "int"}},
    )
    assert [result.message.split(": ", 1)[1] for result in results] == [
        "null_check of x cannot be checked: the table does not exist",
        "schema_validation cannot be checked: the table does not exist",
    ]


def test_odd_identifiers_and_values_are_only_names_and_values(check):
    odd = TableName('my "50%" schema', "t; DROP TABLE x; --%s")
    column = 'a "b" %s\'; 이름'
    quoted = '"' + column.replace('"', '""') + '"'
    results = check(
        f"CREATE SCHEMA {odd.sql.split('.')[0]}; CREATE TABLE {odd.sql} ({quoted} text);"
        f"INSERT INTO {odd.sql} VALUES ('x''); DROP TABLE t'), ('%s'), ('%s')",
        {"type": "null_check", "columns": [column]},
        {"type": "accepted_values", "column": column, "values": ["x'); DROP TABLE t", "%(a)s"]},
        {"type": "unique", "columns": [column]},
        {"type": "format_check", "column": column, "pattern": "^%s'?$"},
        {"type": "schema_validation", "columns": {column: "text"}, "allow_extra": False},
        table=odd,
    )
    assert [result.failing for result in results] == [0, 2, 1, 1, 0], [result.message for result in results]
    assert results[1].sample[0] == {column: "%s"}


def test_rules_of_other_tables_are_left_out_and_names_stay(check, postgres_url):
    rules = [
        NullCheck(columns=["x"], table="public.other"),
        NullCheck(columns=["x"]),
        NullCheck(columns=["x"], table="t"),
    ]
    check("CREATE TABLE t (x int)")
    assert [result.name for result in evaluate(postgres_url, TABLE, rules)] == check_names(rules)[1:]


def test_samples_are_short(check):
    ddl = "CREATE TABLE t AS SELECT repeat('ab', 1000) AS x FROM generate_series(1, 9)"
    [result] = check(ddl, {"type": "format_check", "column": "x", "pattern": "^c"})
    assert [len(row["x"]) for row in result.sample] == [80] * 5


def test_nothing_is_written_and_slow_statements_end(check):
    """A view whose function writes is refused by the read-only transaction; one that sleeps is cancelled."""
    ddl = """CREATE TABLE log (x int); CREATE FUNCTION w() RETURNS int LANGUAGE sql VOLATILE
             AS 'INSERT INTO log VALUES (1) RETURNING x'; CREATE VIEW t AS SELECT w() AS x"""
    [written] = check(ddl, {"type": "null_check", "columns": ["x"]})
    assert "ReadOnlySqlTransaction" in written.message
    ddl = "CREATE VIEW slow AS SELECT pg_sleep(30)::text AS x"
    slow = check(ddl, {"type": "null_check", "columns": ["x"]}, {"type": "unique", "columns": ["x"]},
                 table=TableName("public", "slow"), timeout_s=0.2)  # fmt: skip
    assert ["it was cancelled; one query may take 0.2 s" in result.message for result in slow] == [True, True]


def test_servers_that_do_not_answer_are_transient_and_wrong_urls_are_not(tmp_path):
    with pytest.raises(TransientError, match="cannot be reached"):
        evaluate(f"postgresql://u:hunter22@/d?host={tmp_path}", TABLE, [NullCheck(columns=["x"])])
    with pytest.raises(ConfigError) as caught:
        evaluate("postgresql://u:hunter22@h/d?no_such_option=1", TABLE, [NullCheck(columns=["x"])])
    assert "hunter22" not in str(caught.value)


def test_a_lost_connection_is_transient(check):
    ddl = "CREATE VIEW t AS SELECT pg_terminate_backend(pg_backend_pid()) AS x"
    with pytest.raises(TransientError, match="cannot be reached"):
        check(ddl, {"type": "null_check", "columns": ["x"]}, {"type": "unique", "columns": ["x"]})

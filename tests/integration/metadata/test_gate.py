"""Hostile SQL: none of it writes, reads what is not in the cache, or takes longer than it may."""

import threading

import psycopg
import pytest

from dteg.core.errors import InputError
from dteg.core.postgres import connect
from dteg.metadata.gate import check_sql
from dteg.metadata.probers import Limits, PostgresProber

pytestmark = pytest.mark.integration

HOSTILE = [
    "DELETE FROM canary",
    "DROP TABLE canary",
    "INSERT INTO canary VALUES (2)",
    "UPDATE canary SET n = 2",
    "TRUNCATE canary",
    "SELECT 1; DELETE FROM canary",
    "SELECT 1; DROP TABLE canary; --",
    "WITH gone AS (DELETE FROM canary RETURNING *) SELECT * FROM gone",
    "WITH more AS (INSERT INTO canary VALUES (3) RETURNING n) SELECT n FROM more",
    "SELECT * INTO copy_of_canary FROM canary",
    "CREATE TABLE stolen AS SELECT * FROM canary",
    "SELECT n FROM canary FOR UPDATE",
    "SELECT pg_sleep(60)",
    "SELECT n, pg_sleep(60) FROM canary",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT * FROM pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT current_setting('data_directory')",
    "SELECT * FROM dblink('dbname=postgres', 'DELETE FROM canary') AS t (a int)",
    "SELECT query_to_xml('DELETE FROM canary', true, true, '')",
    "SELECT * FROM ts_stat('SELECT 1')",
    "SELECT nextval('canary_numbers')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_notify('a', 'b')",
    "SELECT evil()",
    "SELECT public.evil()",
    "SELECT public.lower('A')",
    "SELECT * FROM evil_rows()",
    "SELECT rolpassword FROM pg_authid",
    "SELECT * FROM pg_catalog.pg_shadow",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM secrets.keys",
    "SELECT 'secrets.keys'::regclass",
    "SELECT (SELECT k FROM secrets.keys)",
    "SELECT n FROM canary UNION ALL SELECT k::int FROM secrets.keys",
    "WITH pg_authid AS (SELECT 1) SELECT * FROM pg_authid",
    "COPY canary TO '/tmp/canary'",
    "COPY canary FROM PROGRAM 'id'",
    "DO $$ BEGIN DELETE FROM canary; END $$",
    "EXPLAIN ANALYZE DELETE FROM canary",
    "SET ROLE postgres",
    "BEGIN; DELETE FROM canary; COMMIT",
    "CALL evil()",
    "VACUUM canary",
    "GRANT ALL ON canary TO public",
    "MERGE INTO canary USING orders ON true WHEN MATCHED THEN DELETE",
    "SELECT e'\\'; DELETE FROM canary; --'",
    "SELECT 1 /* ' */; DELETE FROM canary /* ' */",
    "SELECT $$a$$; DELETE FROM canary",
    "SELECT ctid FROM canary",
    "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000) b",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
    "SELECT repeat('x', 1000000000)",
    "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    "SELECT '" + "x" * 30_000 + "'",
    "not SQL at all",
    "",
    ";",
]
GOOD = [
    "SELECT count(*) FROM orders",
    "SELECT * FROM orders ORDER BY id LIMIT 5",
    "SELECT c.country, sum(o.amount) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY 1 ORDER BY 2 DESC",
    "WITH paid AS (SELECT * FROM orders WHERE status = 'paid') SELECT date_trunc('day', ordered_at), count(*) FROM paid GROUP BY 1",
    "SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY amount DESC) FROM public.orders",
    "SELECT status, count(*) FILTER (WHERE amount > 100), percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM orders GROUP BY status",
    "SELECT to_char(ordered_at, 'YYYY-MM'), round(avg(amount), 2) FROM orders GROUP BY 1 HAVING count(*) > 1;",
    "SELECT id FROM orders WHERE note LIKE '%100%' AND ordered_at > now() - interval '3650 days'",
    "SELECT extract(year FROM joined_at)::int AS year, string_agg(DISTINCT country, ', ') FROM customers GROUP BY 1",
    "SELECT * FROM customers WHERE NOT EXISTS (SELECT 1 FROM orders WHERE orders.customer_id = customers.id)",
    "SELECT country FROM customers EXCEPT SELECT 'KZ'",
    "SELECT coalesce(nullif(status, ''), 'none'), count(DISTINCT customer_id) FROM orders GROUP BY 1",
]


@pytest.fixture
def trap(shop):
    shop.run(
        "CREATE SCHEMA secrets; CREATE TABLE secrets.keys (k text); INSERT INTO secrets.keys VALUES ('hunter2');"
        "CREATE SEQUENCE canary_numbers;"
        "CREATE FUNCTION evil() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM canary; RETURN 1; END $$;"
        "CREATE FUNCTION evil_rows() RETURNS SETOF int LANGUAGE sql AS 'DELETE FROM canary RETURNING n';"
        "CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'shadowed'; END $$;"
    )
    shop.write("tables.yaml", "tables:\n  - {table: secrets.keys, hidden: true}\n")
    shop.metadata.collect()
    return shop


def test_nothing_hostile_writes_or_reads_out_of_scope(trap):
    entries = [document.table for document in trap.metadata.documents()]
    with connect(trap.project.warehouse_url()) as connection:
        prober = PostgresProber(connection)
        verdicts = {
            sql: check_sql(sql, "postgres", entries, prober, Limits(timeout_s=0.3)) for sql in HOSTILE
        }
    let_through = [sql for sql, verdict in verdicts.items() if verdict.status == "valid"]
    assert let_through == []
    assert all(verdict.why and not verdict.rows for verdict in verdicts.values())
    assert not any("hunter2" in str(verdict) for verdict in verdicts.values())
    assert trap.run("SELECT n FROM canary") == [(1,)]
    assert trap.run("SELECT is_called FROM canary_numbers") == [(False,)]
    assert trap.run("SELECT to_regclass('stolen'), to_regclass('copy_of_canary')") == [(None, None)]
    assert len(HOSTILE) >= 20


def test_honest_queries_run(trap):
    entries = [document.table for document in trap.metadata.documents()]
    with connect(trap.project.warehouse_url()) as connection:
        prober = PostgresProber(connection)
        verdicts = [check_sql(sql, "postgres", entries, prober) for sql in GOOD]
        assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        assert (
            connection.execute("SELECT current_user, current_setting('search_path')").fetchone()[1]
            != "pg_catalog"
        )
    assert [
        (sql, verdict.why) for sql, verdict in zip(GOOD, verdicts, strict=True) if verdict.status != "valid"
    ] == []
    assert verdicts[0].rows == [["300"]]
    assert verdicts[0].result_sha256 == verdicts[0].model_copy().result_sha256 != verdicts[1].result_sha256
    assert verdicts[2].used_columns == [
        "public.customers.country", "public.customers.id", "public.orders.amount", "public.orders.customer_id",
    ]  # fmt: skip


def test_the_server_would_not_write_even_if_the_gate_let_it(trap):
    with connect(trap.project.warehouse_url()) as connection:
        prober = PostgresProber(connection)
        for sql in (
            "SELECT public.evil()",
            "SELECT nextval('public.canary_numbers')",
            "SELECT 1) q; DELETE FROM public.canary; --",
        ):
            assert prober.run(sql, Limits()).problem
        assert prober.run("SELECT pg_read_file('/etc/passwd')", Limits()).problem
    assert trap.run("SELECT n FROM canary") == [(1,)]


def test_rows_are_limited_and_names_of_everybody_else_do_not_count(trap):
    verdict = trap.metadata.check("SELECT id FROM orders", limits=Limits(rows=10))
    assert (verdict.row_count, verdict.truncated, verdict.result_sha256) == (10, True, None)
    assert trap.metadata.check("SELECT lower(status::varchar) AS s FROM orders WHERE id = 2").rows == [
        ["paid"]
    ]


def test_a_statement_that_is_only_planned_does_not_run(trap):
    verdict = trap.metadata.check("SELECT 1 / (id - id) FROM orders", run=False)
    assert (verdict.status, verdict.verified_by, verdict.rows) == ("valid", "explain", [])
    assert "division" in trap.metadata.check("SELECT 1 / (id - id) FROM orders").why


def test_a_lock_of_somebody_else_is_not_waited_for(trap):
    ready, done = threading.Event(), threading.Event()

    def hold():
        with psycopg.connect(trap.project.warehouse_url()) as connection:
            connection.execute("LOCK TABLE orders")
            ready.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert ready.wait(60)
        assert trap.metadata.check("SELECT count(*) FROM orders").status == "broken"
    finally:
        done.set()
        thread.join()


def test_examples_are_added_only_if_they_are_right(collected):
    with pytest.raises(InputError, match="not allowed"):
        collected.metadata.add_example("How long?", "SELECT pg_sleep(9)")
    with pytest.raises(InputError, match="no table nowhere"):
        collected.metadata.add_example("Where?", "SELECT * FROM nowhere")
    text = (collected.project.root / "metadata" / "examples.yaml").read_text()
    assert "pg_sleep" not in text
    made = collected.metadata.add_example(
        "Who's from 'KZ'?", "SELECT count(*)\nFROM customers\nWHERE country = 'KZ';"
    )
    assert (made.status, made.row_count, made.pattern) == ("valid", 1, "Who's from <value>?")
    assert collected.metadata.collect().examples == {"valid": 3, "stale": 0, "broken": 0}
    assert {each.question for each in collected.metadata.show("customers").examples} == {
        "What do customers of each country spend?", "Who's from 'KZ'?",
    }  # fmt: skip

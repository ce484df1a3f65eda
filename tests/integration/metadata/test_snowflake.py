"""Snowflake over its real protocol, from fakesnow: see servers/snowflake_server.py for all that it cannot do.

Above all: no statement here was ever planned by Snowflake, no role was held to what it may do, no time limit ended
anything. What is seen is that the driver connects, which statements are sent, and what becomes of answers.
"""

import json
import urllib.request
from datetime import UTC, datetime

import pytest

from dteg.core.errors import EnvironmentProblemError, PermanentError, TransientError
from dteg.metadata.clouds import SnowflakePlace
from dteg.metadata.collect import Collection, Inputs
from dteg.metadata.collectors import Inclusion
from dteg.metadata.gate import check_sql
from dteg.metadata.models import SourceInfo
from dteg.metadata.notes import ExampleNote
from dteg.metadata.probers import Limits
from dteg.metadata.publish import Publisher
from dteg.metadata.snowflake import SnowflakeCollector
from dteg.metadata.snowflake_session import Session
from dteg.metadata.store import FolderStore
from tests.integration.metadata.cloud_servers import cloud_server, collected_and_asked

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 21, tzinfo=UTC)
# This server makes the database and the schema of a login.
SHOP = [
    "CREATE SCHEMA SHOP.OTHER",
    "CREATE TABLE SHOP.OTHER.ORDERS (ID INT)",
    "USE SCHEMA SHOP.RETAIL",
    (
        "CREATE TABLE CUSTOMERS (ID INT PRIMARY KEY, EMAIL VARCHAR(100), COUNTRY CHAR(2), JOINED DATE) "
        "COMMENT = 'People who bought something.'"
    ),
    (
        "CREATE TABLE ORDERS (ID INT PRIMARY KEY, CUSTOMER_ID INT NOT NULL REFERENCES CUSTOMERS (ID), STATUS VARCHAR, "
        'AMOUNT NUMBER(12,2), ORDERED_AT TIMESTAMP_NTZ, PAYLOAD VARIANT, TAGS ARRAY, "camelCase" VARCHAR)'
    ),
    "CREATE TABLE PAYMENTS (PAYMENT_NO INT PRIMARY KEY, ORDER_ID INT)",
    "CREATE TABLE VISITS (N INT, PAGE VARCHAR)",
    "CREATE TABLE SECRETS (KEY VARCHAR)",
    "INSERT INTO SECRETS VALUES ('hunter2')",
    (
        "INSERT INTO CUSTOMERS SELECT SEQ, 'someone' || SEQ || '@example.com', IFF(SEQ % 2 = 0, 'KZ', 'DE'), "
        "DATEADD(day, SEQ, '2024-01-01'::DATE) FROM (SELECT ROW_NUMBER() OVER (ORDER BY 1) AS SEQ FROM TABLE(GENERATOR(ROWCOUNT => 40)))"
    ),
]
ROWS = """
INSERT INTO ORDERS SELECT N, N % 40 + 1, IFF(N % 2 = 0, 'open', 'paid'), N * 1.5, '2024-05-01 10:00:00'::TIMESTAMP_NTZ,
PARSE_JSON('{"city": "Oslo", "phone": "+47 12 34 56 78"}'), ARRAY_CONSTRUCT('gift'), 'x'
FROM (SELECT ROW_NUMBER() OVER (ORDER BY 1) AS N FROM TABLE(GENERATOR(ROWCOUNT => 200)))
"""
HOSTILE = [
    "DELETE FROM ORDERS",
    "TRUNCATE TABLE ORDERS",
    "DROP TABLE ORDERS",
    "UNDROP TABLE ORDERS",
    "CREATE OR REPLACE TABLE ORDERS AS SELECT 1 AS ID",
    "CREATE TABLE COPY_OF_ORDERS CLONE ORDERS",
    "SELECT 1; DELETE FROM ORDERS",
    "SELECT SYSTEM$WAIT(60)",
    "SELECT SYSTEM$CANCEL_ALL_QUERIES(1)",
    "SELECT SYSTEM$ABORT_SESSION(1)",
    "SELECT SYSTEM$TYPEOF(ID) FROM ORDERS",
    "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))",
    "SELECT * FROM TABLE(RESULT_SCAN('01a2'))",
    "SELECT LAST_QUERY_ID()",
    "SELECT * FROM @stage",
    "SELECT $1 FROM @stage/file.csv",
    "SELECT $1 FROM @~/file.csv (FILE_FORMAT => 'csv')",
    "SELECT T.$1 FROM @%ORDERS T",
    "SELECT * FROM '@~/file.csv'",
    "SELECT * FROM DIRECTORY(@stage)",
    "SELECT GET_PRESIGNED_URL(@stage, 'file.csv')",
    "SELECT BUILD_SCOPED_FILE_URL(@stage, 'file.csv')",
    "SELECT TO_FILE('@stage/file.csv')",
    "GET @stage file:///tmp",
    "PUT file:///etc/passwd @~",
    "LIST @~",
    "REMOVE @~",
    "COPY INTO @stage FROM ORDERS",
    "COPY INTO ORDERS FROM @stage",
    "COPY INTO 's3://elsewhere/' FROM ORDERS",
    "CALL PROCEDURE()",
    "CALL SYSTEM$WAIT(1)",
    "WITH P AS PROCEDURE () RETURNS INT LANGUAGE SQL AS 'RETURN 1' CALL P()",
    "EXECUTE IMMEDIATE 'DELETE FROM ORDERS'",
    "EXECUTE IMMEDIATE $$ DELETE FROM ORDERS $$",
    "EXECUTE TASK T",
    "BEGIN DELETE FROM ORDERS; RETURN 1; END",
    "DECLARE X INT; BEGIN RETURN 1; END",
    "SELECT $$ text $$",
    "SELECT $variable",
    "SET variable = 1",
    "SELECT * FROM IDENTIFIER('SECRETS')",
    "SELECT * FROM TABLE('SECRETS')",
    "SELECT * FROM ORDERS, TABLE('SECRETS') AS S",
    "SELECT * FROM TABLE('SEC' || 'RETS')",
    "SELECT * FROM TABLE(CONCAT('SEC', 'RETS'))",
    "SELECT * FROM TABLE(RETAIL.SECRETS)",
    "SELECT * FROM 'SECRETS'",
    "SELECT * FROM ORDERS JOIN LATERAL (SELECT * FROM SECRETS)",
    "SELECT * FROM TABLE(FLATTEN((SELECT ARRAY_AGG(KEY) FROM SECRETS)))",
    "SELECT * FROM TABLE($variable)",
    "SELECT EXTERNAL_FUNCTION(EMAIL) FROM CUSTOMERS",
    "SELECT RETAIL.EXTERNAL_FUNCTION(EMAIL) FROM CUSTOMERS",
    "SELECT * FROM TABLE(TABLE_FUNCTION(1))",
    "SELECT * FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY())",
    "SELECT * FROM TABLE(GENERATOR(ROWCOUNT => 1000000000))",
    "SELECT SNOWFLAKE.CORTEX.COMPLETE('model', EMAIL) FROM CUSTOMERS",
    "SELECT AI_COMPLETE('model', EMAIL) FROM CUSTOMERS",
    "SELECT GET_DDL('TABLE', 'ORDERS')",
    "SELECT CURRENT_USER()",
    "SELECT CURRENT_ROLE()",
    "SELECT SEQUENCE.NEXTVAL",
    "SELECT ENCRYPT(EMAIL, 'key') FROM CUSTOMERS",
    "SELECT * FROM SECRETS",
    "SELECT * FROM secrets",
    'SELECT * FROM "SECRETS"',
    "SELECT * FROM OTHER.ORDERS",
    "SELECT * FROM SHOP.OTHER.ORDERS",
    "SELECT * FROM OTHER_DATABASE.RETAIL.ORDERS",
    "SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.USERS",
    "SELECT * FROM INFORMATION_SCHEMA.TABLES",
    "SELECT (SELECT KEY FROM SECRETS)",
    "SELECT STATUS FROM ORDERS UNION ALL SELECT KEY FROM SECRETS",
    "WITH secrets AS (SELECT 1 AS n) SELECT * FROM RETAIL.SECRETS",
    "SELECT * FROM ORDERS AT (OFFSET => -3600)",
    "SELECT * FROM ORDERS BEFORE (STATEMENT => '01a2')",
    "SELECT * FROM ORDERS CHANGES (INFORMATION => DEFAULT) AT (OFFSET => -60)",
    "SHOW TABLES",
    "SHOW TABLES ->> SELECT * FROM $1",
    "DESCRIBE TABLE ORDERS",
    "USE ROLE ACCOUNTADMIN",
    "ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 0",
    "GRANT ALL ON TABLE ORDERS TO ROLE PUBLIC",
    "MERGE INTO ORDERS USING CUSTOMERS ON TRUE WHEN MATCHED THEN DELETE",
    "SELECT '\\'; DELETE FROM ORDERS; -- '; DELETE FROM ORDERS",
]
GOOD = [
    "SELECT status, COUNT(*) AS n FROM orders GROUP BY Status ORDER BY status",
    "SELECT payload:city::VARCHAR AS city, COUNT(*) FROM retail.orders GROUP BY 1",
    "SELECT c.country, SUM(o.amount) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.country",
    "SELECT DATE_TRUNC('month', ordered_at) AS month, COUNT_IF(amount > 10) FROM orders GROUP BY month",
    "SELECT id FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY amount DESC) = 1",
    "WITH paid AS (SELECT * FROM orders WHERE status ILIKE 'PA%') SELECT COUNT(*) FROM PAID",
    "SELECT \"camelCase\", IFF(amount > 1, 1, 0), TO_CHAR(ordered_at, 'YYYY-MM') FROM orders LIMIT 2",
    "SELECT f.value::VARCHAR AS tag, COUNT(*) FROM orders o, LATERAL FLATTEN(input => o.tags) f GROUP BY 1",
]


@pytest.fixture(scope="module")
def server():
    with cloud_server("snowflake") as url:
        own = Session(place_at(url))
        for statement in (*SHOP, ROWS, "INSERT INTO PAYMENTS SELECT ID, ID FROM ORDERS", _visits()):
            own.rows(statement)
        own.close()
        yield url


def _visits():
    numbers = "(SELECT ROW_NUMBER() OVER (ORDER BY 1) AS N FROM TABLE(GENERATOR(ROWCOUNT => 5000)))"
    return f"INSERT INTO VISITS SELECT N, 'page ' || (N % 7) FROM {numbers}"


def place_at(url):
    return SnowflakePlace("acme", "reader", "s3cret", "SHOP", "RETAIL", "READER", endpoint=url)


@pytest.fixture
def session(server):
    made = Session(place_at(server))
    yield made
    made.close()


@pytest.fixture
def collector(session, server):
    return SnowflakeCollector(session, place_at(server), NOW, ["!SECRETS"])


def seen(server):
    with urllib.request.urlopen(f"{server}/dteg/seen") as answer:
        return json.load(answer)


def plan_says(server, size):
    body = json.dumps({"bytes": size}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{server}/dteg/bytes", body, method="POST")):
        pass


def test_the_catalogue_has_types_keys_and_documents(collector):
    found = {each.entry.table_id: each for each in collector.tables()}
    # Snowflake lists views here too, this server does not.
    names = ["CUSTOMERS", "ORDERS", "PAYMENTS", "VISITS"]
    assert sorted(found) == [f"RETAIL.{name}" for name in names]
    assert collector.reads == 0
    orders, customers = found["RETAIL.ORDERS"].entry, found["RETAIL.CUSTOMERS"].entry
    assert customers.description == "People who bought something."
    assert (customers.primary_key, orders.primary_key) == (["ID"], ["ID"])
    types = {each.name: each.type for each in orders.columns}
    assert types["AMOUNT"] == "NUMBER(12,2)"
    # Of an ARRAY this server says VARIANT.
    assert (types["PAYLOAD"], types["TAGS"]) == ("VARIANT", "VARIANT")
    assert orders.column("CUSTOMER_ID").mode == "REQUIRED"


def test_a_collection_reads_once_and_publishes_no_value_about_people(collector, tmp_path):
    examples = [
        ExampleNote(
            question="What is paid?", sql="SELECT SUM(amount) AS paid FROM orders WHERE status = 'paid'"
        ),
        ExampleNote(
            question="Which cities?", sql="SELECT payload:city::VARCHAR AS city FROM orders GROUP BY 1"
        ),
        ExampleNote(question="Drop it?", sql="DROP TABLE RETAIL.ORDERS"),
    ]
    source = SourceInfo(name="retail", engine="snowflake", dialect="snowflake")
    publisher = Publisher(FolderStore(tmp_path), lambda: NOW)

    def collect():
        return Collection(collector, publisher, source, Inputs(examples=examples), clock=lambda: NOW).run()

    report = collect()
    assert (report.published, report.tables, report.tables_read) == (True, 4, 4)
    assert (report.examples, report.problems) == ({"valid": 2, "stale": 0, "broken": 1}, [])
    tables = {each.table_id: publisher.document(each).table for each in publisher.current().tables}
    orders, customers, visits = (tables[f"RETAIL.{name}"] for name in ("ORDERS", "CUSTOMERS", "VISITS"))
    status = orders.column("STATUS")
    assert [(each.value, each.pct) for each in status.top_values] == [("open", 50.0), ("paid", 50.0)]
    assert (orders.row_count, orders.row_count_is_exact) == (200, True)
    assert (orders.column("AMOUNT").min, orders.column("AMOUNT").max) == ("1.50", "300.00")
    assert (customers.column("EMAIL").pii, customers.column("EMAIL").samples) == ("email", [])
    parts = [each for each in orders.columns if each.name.startswith("PAYLOAD:")]
    assert [(each.name, each.type, each.pii, each.samples, each.top_values) for each in parts] == [
        ("PAYLOAD:city", "VARIANT (string)", None, [], []), ("PAYLOAD:phone", "VARIANT (string)", "phone", [], []),
    ]  # fmt: skip
    assert [key.origin for key in tables["RETAIL.PAYMENTS"].foreign_keys] == ["ind"]
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert b"@example.com" not in stored
    assert b"hunter2" not in stored
    assert b"+47 " not in stored
    assert (visits.row_count, visits.column("PAGE").distinct_count) == (5000, 7)
    reads = collector.reads
    second = collect()
    assert (second.published, second.tables_read, collector.reads) == (False, 0, reads)


def test_joins_are_seen_in_values(collector):
    found = {each.entry.name: each for each in collector.tables()}
    orders, customers = found["ORDERS"], found["CUSTOMERS"]
    assert collector.is_included(Inclusion(orders, "CUSTOMER_ID", customers, "ID")) is True
    assert collector.is_included(Inclusion(orders, "ID", customers, "ID")) is False


def test_honest_queries_run(collector):
    entries = [each.entry for each in collector.tables()]
    verdicts = [check_sql(sql, "snowflake", entries, collector.prober) for sql in GOOD]
    assert [(sql, each.why) for sql, each in zip(GOOD, verdicts, strict=True) if each.status != "valid"] == []
    assert verdicts[0].rows == [["open", "100"], ["paid", "100"]]
    assert verdicts[1].rows == [["Oslo", "200"]]
    assert verdicts[5].rows == [["100"]]
    assert verdicts[7].rows == [["gift", "200"]]


def test_what_is_sent_has_limits(collector, server):
    entries = [each.entry for each in collector.tables()]
    before = len(seen(server))
    limits = Limits(rows=10, timeout_s=2.5)
    some = check_sql("SELECT n FROM visits", "snowflake", entries, collector.prober, limits)
    assert (some.row_count, some.truncated, len(some.rows)) == (10, True, 10)
    sent = seen(server)[before:]
    assert sent == [
        "ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 3",
        'EXPLAIN USING JSON SELECT N FROM "RETAIL".VISITS',
        'SELECT * FROM (SELECT N FROM "RETAIL".VISITS\n) AS dteg_q LIMIT 11',
    ]
    assert "USE SECONDARY ROLES NONE" in seen(server)
    before = len(seen(server))
    planned = check_sql(GOOD[0], "snowflake", entries, collector.prober, Limits(run=False))
    assert (planned.status, planned.verified_by, planned.rows) == ("valid", "explain", [])
    assert [text.split()[0] for text in seen(server)[before:]] == ["ALTER", "EXPLAIN"]


def test_what_would_read_too_much_is_not_run(collector, server):
    entries = [each.entry for each in collector.tables()]
    before = len(seen(server))
    plan_says(server, 10**12)
    try:
        verdict = check_sql("SELECT n FROM visits", "snowflake", entries, collector.prober)
    finally:
        plan_says(server, 0)
    assert verdict.status == "broken"
    assert verdict.why == "it would read 1,000,000,000,000 bytes; max_bytes is 1,000,000,000"
    assert not any(text.startswith("SELECT") for text in seen(server)[before:])


def test_nothing_hostile_is_sent(collector, server):
    entries = [each.entry for each in collector.tables()]
    before = len(seen(server))
    verdicts = {sql: check_sql(sql, "snowflake", entries, collector.prober) for sql in HOSTILE}
    assert [sql for sql, verdict in verdicts.items() if verdict.status == "valid"] == []
    assert all(verdict.why and not verdict.rows for verdict in verdicts.values())
    assert len(seen(server)) == before
    assert len(HOSTILE) >= 50


def test_errors_are_short_and_say_what_to_do(session, collector):
    with pytest.raises(PermanentError, match="NOTHING"):
        session.rows("SELECT * FROM NOTHING")
    # This server has no history: with Snowflake the same error means that the role may not see it.
    with pytest.raises(EnvironmentProblemError, match="GRANT MONITOR"):
        collector.query_log()


@pytest.mark.filterwarnings("ignore")
def test_a_server_that_does_not_answer_can_be_asked_again():
    from dteg.testing.servers import fresh_port

    with pytest.raises(TransientError, match="does not answer"):
        Session(place_at(f"http://127.0.0.1:{fresh_port()}"))


def test_a_source_is_named_collected_and_asked(server, project, model, monkeypatch, capsys):
    monkeypatch.setenv(
        "SALES_URL", f"snowflake://reader:s3cret@acme/shop/retail?role=READER&endpoint={server}"
    )
    collected_and_asked(
        project, model, capsys, dialect="snowflake", orders="RETAIL.ORDERS", hidden="SECRETS", url="secret://env/SALES_URL",
        good="SELECT STATUS, COUNT(*) AS N FROM RETAIL.ORDERS GROUP BY STATUS ORDER BY STATUS",
        bad="SELECT * FROM TABLE('SECRETS')", better="SELECT COUNT(*) AS n FROM RETAIL.ORDERS",
    )  # fmt: skip

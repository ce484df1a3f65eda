"""BigQuery over its real protocol, from bqemulator: see servers/bigquery_server.py for all that it cannot do.

What it forgets or does not limit (declared keys, bytes, jobs of others) is tested in test_bigquery_rest.py, against
answers written down as BigQuery's reference has them.
"""

from datetime import UTC, datetime

import pytest

from dteg.metadata.bigquery import BigQueryCollector
from dteg.metadata.bigquery_jobs import client_of
from dteg.metadata.clouds import BigQueryPlace
from dteg.metadata.collect import Collection, Inputs
from dteg.metadata.collectors import Inclusion
from dteg.metadata.gate import check_sql
from dteg.metadata.models import SourceInfo
from dteg.metadata.notes import ExampleNote
from dteg.metadata.probers import Limits
from dteg.metadata.publish import Publisher
from dteg.metadata.store import FolderStore
from tests.integration.metadata.cloud_servers import cloud_server, collected_and_asked

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 21, tzinfo=UTC)
PROJECT = "shop-1"
CUSTOMERS = [
    {"name": "id", "type": "INT64", "mode": "REQUIRED"},
    {"name": "email", "type": "STRING"},
    {"name": "country", "type": "STRING", "description": "ISO code of the country."},
    {"name": "joined", "type": "DATE"},
    {
        "name": "home",
        "type": "RECORD",
        "fields": [{"name": "city", "type": "STRING"}, {"name": "street", "type": "STRING"}],
    },
]
ORDERS = [
    {"name": "id", "type": "INT64", "mode": "REQUIRED"},
    {"name": "customer_id", "type": "INT64"},
    {"name": "status", "type": "STRING"},
    {"name": "amount", "type": "NUMERIC"},
    {"name": "orderedAt", "type": "TIMESTAMP", "description": "When it came in."},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    {"name": "extra", "type": "JSON"},
    {
        "name": "items",
        "type": "RECORD",
        "mode": "REPEATED",
        "fields": [{"name": "sku", "type": "STRING"}, {"name": "quantity", "type": "INT64"}],
    },
]
CITIES = ("Almaty", "Berlin", "Paris")
HOSTILE = [
    "DELETE FROM retail.orders WHERE TRUE",
    "TRUNCATE TABLE retail.orders",
    "DROP TABLE retail.orders",
    "CREATE OR REPLACE TABLE retail.orders AS SELECT 1 AS id",
    "CREATE TEMP FUNCTION f(x INT64) AS (x); SELECT f(id) FROM retail.orders",
    "CREATE FUNCTION retail.f(x INT64) RETURNS INT64 LANGUAGE js AS 'return x'",
    "SELECT 1; DELETE FROM retail.orders WHERE TRUE",
    "EXPORT DATA OPTIONS (uri='gs://elsewhere/*.csv', format='CSV') AS SELECT * FROM retail.customers",
    "LOAD DATA INTO retail.orders FROM FILES (format='CSV', uris=['gs://elsewhere/a.csv'])",
    "SELECT * FROM EXTERNAL_QUERY('project.eu.connection', 'SELECT * FROM users')",
    "SELECT * FROM ML.PREDICT(MODEL retail.model, TABLE retail.orders)",
    "SELECT * FROM ML.GENERATE_TEXT(MODEL retail.model, (SELECT 'hello' AS prompt))",
    "SELECT AI.GENERATE('hello')",
    "SELECT * FROM AI.FORECAST(TABLE retail.orders, data_col => 'amount', timestamp_col => 'orderedAt')",
    "SELECT * FROM VECTOR_SEARCH(TABLE retail.orders, 'amount', TABLE retail.customers)",
    "SELECT * FROM APPENDS(TABLE retail.orders, NULL, NULL)",
    "DECLARE x INT64 DEFAULT 1; SELECT x",
    "BEGIN SELECT 1; DELETE FROM retail.orders WHERE TRUE; END",
    "BEGIN TRANSACTION; DELETE FROM retail.orders WHERE TRUE; COMMIT TRANSACTION",
    "EXECUTE IMMEDIATE 'DELETE FROM retail.orders WHERE TRUE'",
    "EXECUTE IMMEDIATE CONCAT('DROP TABLE ', 'retail.orders')",
    "CALL retail.procedure()",
    "CALL BQ.REFRESH_MATERIALIZED_VIEW('retail.view')",
    "ASSERT (SELECT COUNT(*) FROM retail.orders) > 0",
    "SET @@query_label = 'a:b'",
    "SELECT @@project_id",
    "SELECT @parameter",
    "SELECT SESSION_USER()",
    "SELECT ERROR(email) FROM retail.customers",
    "SELECT retail.remote_function(email) FROM retail.customers",
    "SELECT remote_function(email) FROM retail.customers",
    "SELECT * FROM retail.table_function(1)",
    "SELECT NET.HOST('http://elsewhere')",
    "SELECT KEYS.NEW_KEYSET('AEAD_AES_GCM_256')",
    "SELECT AEAD.DECRYPT_STRING(a, b, c)",
    "SELECT SAFE.SUBSTR(email, 1) FROM retail.customers",
    "SELECT * FROM retail.secrets",
    "SELECT * FROM retail.`secrets`",
    "SELECT * FROM `retail.secrets`",
    "SELECT * FROM other.orders",
    "SELECT * FROM `other-project`.retail.orders",
    "SELECT * FROM `other-project.retail.orders`",
    "SELECT * FROM `retail.order*`",
    "SELECT * FROM retail.orders_*",
    "SELECT * FROM retail.INFORMATION_SCHEMA.TABLES",
    "SELECT * FROM `region-eu`.INFORMATION_SCHEMA.JOBS_BY_PROJECT",
    "SELECT * FROM retail.__TABLES__",
    "SELECT (SELECT key FROM retail.secrets)",
    "SELECT id FROM retail.orders UNION ALL SELECT key FROM retail.secrets",
    "WITH secrets AS (SELECT 1) SELECT * FROM retail.secrets",
    "SELECT * FROM retail.orders FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01'",
    "FROM retail.secrets |> SELECT *",
    "GRANT `roles/bigquery.dataOwner` ON TABLE retail.orders TO 'user:a@example.com'",
    "SELECT '\\'; DELETE FROM retail.orders WHERE TRUE; -- '; DELETE FROM retail.orders WHERE TRUE",
    "SELECT 1 /* */; DROP TABLE retail.orders /* */",
    "SELECT b'bytes'",
]
GOOD = [
    "SELECT status, COUNT(*) AS n FROM retail.orders GROUP BY status ORDER BY status",
    "SELECT o.ID, i.sku FROM orders AS o, UNNEST(o.items) AS i WHERE i.quantity > 1 LIMIT 5",
    "SELECT home.city, COUNT(*) FROM retail.customers GROUP BY 1",
    "SELECT c.country, SUM(o.amount) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY c.country",
    "SELECT DATE_TRUNC(DATE(orderedAt), MONTH) AS month, COUNTIF(amount > 10) FROM orders GROUP BY month",
    "SELECT tag, COUNT(*) FROM orders, UNNEST(tags) AS tag GROUP BY tag",
    "SELECT id FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY amount DESC) = 1",
    (
        "WITH paid AS (SELECT * EXCEPT (extra) FROM orders WHERE REGEXP_CONTAINS(status, r'^pa\\w+$')) "
        "SELECT COUNT(*) FROM paid"
    ),
    "SELECT JSON_VALUE(extra, '$.channel') AS channel, COUNT(*) FROM retail.orders GROUP BY channel",
    "SELECT SAFE_CAST(status AS INT64), IF(amount > 1, 'much', 'little') FROM orders LIMIT 3",
]


@pytest.fixture(scope="module")
def server():
    with cloud_server("bigquery") as url:
        _fill(url)
        yield url


@pytest.fixture
def client(server):
    with client_of(BigQueryPlace(PROJECT, endpoint=server)) as made:
        yield made


@pytest.fixture
def collector(client):
    return BigQueryCollector(client, "retail", 10**9, NOW, ["!secrets"])


@pytest.fixture
def collection(collector, tmp_path):
    def made(**inputs):
        info = SourceInfo(name="retail", engine="bigquery", dialect="bigquery")
        publisher = Publisher(FolderStore(tmp_path), lambda: NOW)
        return Collection(collector, publisher, info, Inputs(**inputs), clock=lambda: NOW), publisher

    return made


def _fill(url):
    from google.cloud import bigquery

    with client_of(BigQueryPlace(PROJECT, endpoint=url)) as client:
        client.create_dataset("retail")
        client.create_dataset("other")

        def table(name, fields, rows, about=""):
            schema = [bigquery.SchemaField.from_api_repr(each) for each in fields]
            made = bigquery.Table(f"{PROJECT}.{name}", schema=schema)
            made.description = about
            client.create_table(made)
            if rows:
                assert client.insert_rows_json(f"{PROJECT}.{name}", rows) == []

        table(
            "retail.customers",
            CUSTOMERS,
            [_customer(n) for n in range(1, 41)],
            "People who bought something.",
        )
        table("retail.orders", ORDERS, [_order(n) for n in range(1, 201)])
        table("retail.secrets", [{"name": "key", "type": "STRING"}], [{"key": "hunter2"}])
        table("other.orders", [{"name": "id", "type": "INT64"}], [])
        # numRows of this server counts what insertAll wrote, and nothing else.
        visits = [{"n": n, "page": f"page {n % 7}"} for n in range(1, 5001)]
        table("retail.visits", [{"name": "n", "type": "INT64"}, {"name": "page", "type": "STRING"}], visits)
        view = "CREATE VIEW retail.paid AS SELECT id, amount FROM retail.orders WHERE status = 'paid'"
        client.query(view).result()


def _customer(n):
    return {
        "id": n, "email": f"someone{n}@example.com", "country": ("KZ", "DE", "FR")[n % 3], "joined": f"2024-01-{n % 28 + 1:02}",
        "home": {"city": CITIES[n % 3], "street": f"Street {n}"},
    }  # fmt: skip


def _order(n):
    return {
        "id": n, "customer_id": n % 40 + 1, "status": ("open", "paid")[n % 2], "amount": str(n * 1.5), "extra": '{"channel": "web"}',
        "orderedAt": f"2024-05-{n % 28 + 1:02}T10:00:00Z", "tags": ["gift", "fast"][: n % 3], "items": [{"sku": f"A-{n % 5}", "quantity": n % 4}],
    }  # fmt: skip


def test_the_catalogue_has_records_repeated_columns_and_descriptions(collector):
    found = {each.entry.table_id: each for each in collector.tables()}
    assert sorted(found) == ["retail.customers", "retail.orders", "retail.paid", "retail.visits"]
    assert collector.reads == 0
    orders, customers = found["retail.orders"].entry, found["retail.customers"].entry
    assert customers.description == "People who bought something."
    assert customers.last_updated > datetime(2026, 1, 1, tzinfo=UTC)
    assert customers.last_updated != NOW
    assert customers.column("country").description == "ISO code of the country."
    assert customers.column("home").type == "STRUCT<city STRING, street STRING>"
    assert [each.name for each in customers.columns][-3:] == ["home", "home.city", "home.street"]
    assert orders.column("items").type == "ARRAY<STRUCT<sku STRING, quantity INT64>>"
    assert [orders.column(name).mode for name in ("id", "items", "tags", "status")] == [
        "REQUIRED", "REPEATED", "REPEATED", "NULLABLE",
    ]  # fmt: skip
    assert orders.column("items.quantity").type == "INT64"
    assert found["retail.paid"].entry.kind == "view"
    assert (found["retail.orders"].row_estimate, found["retail.visits"].row_estimate) == (200, 5000)


def test_a_collection_reads_once_and_publishes_no_value_about_people(collection, collector, tmp_path):
    examples = [
        ExampleNote(
            question="What is paid?", sql="SELECT SUM(amount) AS paid FROM orders WHERE status = 'paid'"
        ),
        ExampleNote(
            question="What sells?", sql="SELECT i.sku FROM orders o, UNNEST(o.items) i GROUP BY i.sku"
        ),
        ExampleNote(question="Drop it?", sql="DROP TABLE retail.orders"),
    ]
    run, publisher = collection(examples=examples)
    report = run.run()
    assert (report.published, report.tables, report.tables_read) == (True, 4, 4)
    assert (report.examples, report.problems) == ({"valid": 2, "stale": 0, "broken": 1}, [])
    documents = {each.table_id: publisher.document(each) for each in publisher.current().tables}
    orders, customers = documents["retail.orders"].table, documents["retail.customers"].table
    status, amount = orders.column("status"), orders.column("amount")
    assert [(each.value, each.pct) for each in status.top_values] == [("open", 50.0), ("paid", 50.0)]
    assert (orders.row_count, orders.row_count_is_exact, status.distinct_count) == (200, True, 2)
    assert (float(amount.min), float(amount.max)) == (1.5, 300.0)
    assert {each.value for each in customers.column("home.city").top_values} == set(CITIES)
    assert customers.column("email").pii == "email"
    assert customers.column("home.street").pii == "street"
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert b"someone7@" not in stored
    assert b"Street 7" not in stored
    assert b"hunter2" not in stored
    assert orders.column("extra.channel").type == "JSON (string)"
    assert b'"web"' not in stored
    page = documents["retail.visits"].table.column("page")
    assert (page.distinct_count, len(page.top_values)) == (7, 7)
    n = documents["retail.visits"].table.column("n")
    assert (n.min, n.max, n.null_pct) == ("1", "5000", 0.0)
    assert documents["retail.visits"].table.row_count == 5000
    again, _ = collection(examples=examples)
    reads = collector.reads
    second = again.run()
    assert (second.published, second.tables_read, collector.reads) == (False, 0, reads)


def test_joins_are_seen_in_values(collector):
    found = {each.entry.name: each for each in collector.tables()}
    orders, customers = found["orders"], found["customers"]
    assert collector.is_included(Inclusion(orders, "customer_id", customers, "id")) is True
    assert collector.is_included(Inclusion(orders, "id", customers, "id")) is False


def test_honest_queries_run(collector):
    entries = [each.entry for each in collector.tables()]
    verdicts = [check_sql(sql, "bigquery", entries, collector.prober) for sql in GOOD]
    assert [(sql, each.why) for sql, each in zip(GOOD, verdicts, strict=True) if each.status != "valid"] == []
    assert verdicts[0].rows == [["open", "100"], ["paid", "100"]]
    assert verdicts[1].used_columns == ["retail.orders.id", "retail.orders.items"]
    assert "retail.customers.home.city" in verdicts[2].used_columns
    assert verdicts[7].rows == [["100"]]
    assert verdicts[8].rows == [["web", "200"]]


def test_only_some_rows_are_read_and_without_running_none(collector):
    entries = [each.entry for each in collector.tables()]
    some = check_sql("SELECT n FROM retail.visits", "bigquery", entries, collector.prober, Limits(rows=10))
    assert (some.row_count, some.truncated, len(some.rows)) == (10, True, 10)
    planned = check_sql(GOOD[0], "bigquery", entries, collector.prober, Limits(run=False))
    assert (planned.status, planned.verified_by, planned.rows) == ("valid", "explain", [])
    wrong = check_sql("SELECT home.nothing FROM retail.customers", "bigquery", entries, collector.prober)
    assert wrong.status == "broken"
    assert "nothing" in wrong.why
    assert "http" not in wrong.why


def test_nothing_hostile_is_sent(collector, client):
    entries = [each.entry for each in collector.tables()]
    before = len(list(client.list_jobs(max_results=10_000)))
    verdicts = {sql: check_sql(sql, "bigquery", entries, collector.prober) for sql in HOSTILE}
    assert [sql for sql, verdict in verdicts.items() if verdict.status == "valid"] == []
    assert all(verdict.why and not verdict.rows for verdict in verdicts.values())
    assert len(list(client.list_jobs(max_results=10_000))) == before
    assert len(HOSTILE) >= 50


def test_a_source_is_named_collected_and_asked(server, project, model, capsys):
    collected_and_asked(
        project, model, capsys, dialect="bigquery", orders="retail.orders", hidden="secrets",
        url=f"bigquery://{PROJECT}/retail?endpoint={server}",
        good="SELECT status, COUNT(*) AS n FROM retail.orders GROUP BY status ORDER BY status",
        bad="SELECT id FROM `other.orders`", better="SELECT COUNT(*) AS n FROM retail.orders",
    )  # fmt: skip

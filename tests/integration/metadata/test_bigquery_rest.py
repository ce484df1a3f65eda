"""What the server of test_bigquery.py forgets or does not limit, against answers as BigQuery's REST reference has them."""

import re
from datetime import UTC, datetime

import pytest

from dteg.core.errors import EnvironmentProblemError, PermanentError, TransientError
from dteg.metadata import bigquery_jobs
from dteg.metadata.bigquery import BigQueryCollector
from dteg.metadata.bigquery_jobs import client_of
from dteg.metadata.clouds import BigQueryPlace
from dteg.metadata.gate import check_sql
from dteg.metadata.probers import Limits
from dteg.testing.http_server import FakeServer, Reply

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 21, tzinfo=UTC)
MAX_BYTES = 50_000_000
TABLES = "/bigquery/v2/projects/shop/datasets/retail/tables"
JOBS = "/bigquery/v2/projects/shop/jobs"


def named(table):
    return {"projectId": "shop", "datasetId": "retail", "tableId": table}


ORDERS = {
    "tableReference": named("orders"), "type": "TABLE", "numRows": "9000000000", "numBytes": "5000000000000",
    "lastModifiedTime": "1790000000000", "description": "One row for each order.", "labels": {"tier": "gold"},
    "schema": {"fields": [
        {"name": "id", "type": "INTEGER", "mode": "REQUIRED"},
        {"name": "customer_id", "type": "INTEGER"},
        {"name": "amount", "type": "NUMERIC", "precision": "12", "scale": "2"},
        {"name": "code", "type": "STRING", "maxLength": "8"},
        {"name": "day", "type": "DATE"},
        {"name": "open", "type": "RANGE", "rangeElementType": {"type": "DATE"}},
    ]},
    "tableConstraints": {
        "primaryKey": {"columns": ["id"]},
        "foreignKeys": [{
            "name": "orders.fk", "referencedTable": named("customers"),
            "columnReferences": [{"referencingColumn": "customer_id", "referencedColumn": "id"}],
        }],
    },
    "timePartitioning": {"type": "DAY", "field": "day"}, "requirePartitionFilter": True,
    "clustering": {"fields": ["customer_id"]},
}  # fmt: skip
CUSTOMERS = {
    "tableReference": named("customers"), "type": "TABLE", "numRows": "2", "numBytes": "20",
    "schema": {"fields": [{"name": "id", "type": "INTEGER"}, {"name": "country", "type": "STRING"}]},
    "tableConstraints": {"primaryKey": {"columns": ["id"]}},
}  # fmt: skip
DAILY = {
    "tableReference": named("daily"), "type": "VIEW", "view": {"query": "SELECT day FROM retail.orders"},
    "schema": {"fields": [{"name": "day", "type": "DATE"}]},
}  # fmt: skip
FILES = {
    "tableReference": named("files"), "type": "EXTERNAL", "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}
}  # fmt: skip

DATA = {"customers": [["1", "KZ"], ["2", "KZ"]], "orders": [["1", "1", "9.50", "A-1", "2024-05-01"]]}


class Google(FakeServer):
    """BigQuery as far as it is asked here.

    Attributes:
        reads: What a query would read (bytes).
        broken: Answer everything with this.
        slow: Jobs never end.
        posted: Jobs that were asked for.
        cancelled: Whether a job was.
    """

    def __init__(self):
        super().__init__()
        self.reads, self.broken, self.slow, self.posted, self.cancelled = 0, None, False, [], False
        self.tables = {"orders": ORDERS, "customers": CUSTOMERS, "daily": DAILY, "files": FILES}

    def answer(self, seen):
        self.requests.append(seen)
        if self.broken:
            return self.broken
        if seen.path == TABLES:
            listed = [
                {"tableReference": each["tableReference"], "type": each["type"]}
                for each in self.tables.values()
            ]
            return Reply({"tables": listed})
        if found := re.fullmatch(f"{TABLES}/([a-z]+)", seen.path):
            return Reply(self.tables[found[1]])
        if found := re.fullmatch(f"{TABLES}/([a-z]+)/data", seen.path):
            rows = DATA[found[1]]
            return Reply(
                {"totalRows": str(len(rows)), "rows": [{"f": [{"v": v} for v in row]} for row in rows]}
            )
        if seen.path == JOBS and seen.method == "POST":
            return self._job(seen.json())
        if seen.path == JOBS:
            return Reply({"jobs": [log_entry(*each) for each in LOG]})
        if seen.path.endswith("/cancel"):
            self.cancelled = True
            return Reply({"job": self.posted[-1] | {"status": {"state": "RUNNING"}}})
        if seen.path.startswith(f"{JOBS}/"):
            return Reply(self.posted[-1] | {"status": {"state": "RUNNING" if self.slow else "DONE"}})
        if seen.path.startswith("/bigquery/v2/projects/shop/queries/"):
            schema = {"fields": [{"name": "n", "type": "INTEGER"}]}
            done = {"jobComplete": True, "totalRows": "1", "rows": [{"f": [{"v": "7"}]}], "schema": schema}
            return Reply(done | {"jobReference": self.posted[-1]["jobReference"]})
        return Reply({"error": {"code": 404, "message": "not here"}}, 404)

    def _job(self, body):
        self.posted.append(body)
        is_dry = body["configuration"].get("dryRun")
        state = "RUNNING" if self.slow and not is_dry else "DONE"
        query = {"totalBytesProcessed": str(self.reads), "statementType": "SELECT"}
        return Reply(body | {"status": {"state": state}, "statistics": {"query": query}})

    @property
    def ran(self):
        """Jobs that would have cost something."""
        return [each["configuration"] for each in self.posted if not each["configuration"].get("dryRun")]


LOG = [
    ("SELECT COUNT(*) FROM `shop.retail.orders`", "SELECT", {}),
    ("SELECT COUNT(*) FROM `shop.retail.orders`", "SELECT", {}),
    ("SELECT COUNT(*) FROM `elsewhere.retail.orders`", "SELECT", {}),
    ("DELETE FROM retail.orders WHERE TRUE", "DELETE", {}),
    ("SELECT 1 AS dteg_own", "SELECT", {"dteg": "metadata"}),
]


def log_entry(text, kind, labels):
    return {
        "jobReference": {"projectId": "shop", "jobId": "j", "location": "EU"}, "status": {"state": "DONE"},
        "configuration": {"jobType": "QUERY", "query": {"query": text}, "labels": labels},
        "statistics": {"query": {"statementType": kind}},
    }  # fmt: skip


@pytest.fixture
def google():
    with Google() as server:
        yield server


@pytest.fixture
def collector(google, monkeypatch):
    monkeypatch.setattr(bigquery_jobs, "_RETRY_S", 0.2)
    with client_of(BigQueryPlace("shop", "retail", endpoint=google.url)) as client:
        yield BigQueryCollector(client, "retail", MAX_BYTES, NOW)


def test_keys_partitions_and_types_of_the_catalogue(collector, google):
    found = {each.entry.name: each for each in collector.tables()}
    orders = found["orders"].entry
    assert orders.primary_key == ["id"]
    (key,) = orders.foreign_keys
    assert (key.columns, key.ref_table, key.ref_columns, key.origin) == (
        ["customer_id"], "retail.customers", ["id"], "declared",
    )  # fmt: skip
    assert orders.tags == [
        "tier:gold",
        "partitioned by day",
        "needs a partition filter",
        "clustered by customer_id",
    ]
    assert [each.type for each in orders.columns] == [
        "INT64", "INT64", "NUMERIC(12, 2)", "STRING(8)", "DATE", "RANGE<DATE>",
    ]  # fmt: skip
    assert (orders.last_updated.year, found["customers"].entry.last_updated) == (2026, NOW)
    assert found["daily"].entry.kind == "view"
    assert (found["files"].entry.kind, found["files"].readable) == ("foreign_table", False)
    assert google.posted == []


def test_another_definition_or_another_number_of_rows_is_seen(collector, google):
    before = {each.entry.name: each for each in collector.tables()}
    google.tables["daily"] = DAILY | {"view": {"query": "SELECT day FROM retail.orders WHERE amount > 0"}}
    google.tables["customers"] = CUSTOMERS | {"numRows": "3"}
    after = {each.entry.name: each for each in collector.tables()}
    same = [name for name in before if before[name].probe == after[name].probe]
    assert same == ["orders", "files"]
    assert before["daily"].entry.fingerprint_sha256 != after["daily"].entry.fingerprint_sha256
    assert before["customers"].entry.fingerprint_sha256 == after["customers"].entry.fingerprint_sha256


def test_of_a_huge_table_only_what_costs_nothing_is_read(collector, google):
    google.reads = 5_000_000_000_000
    found = {each.entry.name: each for each in collector.tables()}
    sample = collector.sample(found["orders"])
    assert (sample.whole, sample.rows, sample.statistics) == (False, 9_000_000_000, {})
    assert google.ran == []
    assert len(google.posted) == 2
    assert all(each["configuration"]["dryRun"] for each in google.posted)
    assert (
        google.requests[-2].path == f"{TABLES}/orders/data"
        or google.requests[-1].path == f"{TABLES}/orders/data"
    )


def test_a_small_table_is_read_whole_without_a_query(collector, google):
    found = {each.entry.name: each for each in collector.tables()}
    sample = collector.sample(found["customers"])
    assert (sample.whole, sample.rows, sample.columns) == (True, 2, {"id": [1, 2], "country": ["KZ", "KZ"]})
    assert google.posted == []


def test_a_view_that_would_read_too_much_is_not_read(collector, google):
    google.reads = MAX_BYTES + 1
    found = {each.entry.name: each for each in collector.tables()}
    with pytest.raises(PermanentError, match="it would read 50,000,001 bytes"):
        collector.sample(found["daily"])
    assert google.ran == []


def test_a_collection_reads_ten_times_the_limit_at_most(collector, google):
    google.reads = MAX_BYTES
    found = {each.entry.name: each for each in collector.tables()}
    for _ in range(10):
        collector.sample(found["daily"])
    with pytest.raises(PermanentError, match="this collection has read all that it may"):
        collector.sample(found["daily"])
    assert len(google.ran) == 10


def test_what_is_run_is_planned_first_and_tells_its_limits(collector, google):
    google.reads = 1_000
    entries = [each.entry for each in collector.tables()]
    verdict = check_sql(
        "SELECT id AS n FROM orders", "bigquery", entries, collector.prober, Limits(timeout_s=2.5)
    )
    assert (verdict.status, verdict.rows) == ("valid", [["7"]])
    assert [each["configuration"].get("dryRun", False) for each in google.posted] == [True, False]
    (ran,) = google.ran
    assert ran["query"]["query"] == "SELECT id AS n FROM retail.orders"
    assert ran["query"]["maximumBytesBilled"] == str(MAX_BYTES)
    assert (ran["query"]["useQueryCache"], ran["query"]["useLegacySql"]) == (False, False)
    assert (ran["jobTimeoutMs"], ran["labels"]) == ("2500", {"dteg": "metadata"})


@pytest.mark.parametrize("run", [True, False])
def test_a_query_that_would_read_too_much_is_refused(collector, google, run):
    entries = [each.entry for each in collector.tables()]
    google.reads = 10**12
    verdict = check_sql("SELECT id FROM orders", "bigquery", entries, collector.prober, Limits(run=run))
    assert (verdict.status, verdict.why) == (
        "broken", "it would read 1,000,000,000,000 bytes; max_bytes is 50,000,000",
    )  # fmt: skip
    assert google.ran == []


def test_a_job_that_takes_too_long_is_cancelled(collector, google):
    entries = [each.entry for each in collector.tables()]
    google.slow = True
    verdict = check_sql("SELECT id FROM orders", "bigquery", entries, collector.prober, Limits(timeout_s=0.2))
    assert (verdict.status, verdict.why, google.cancelled) == ("broken", "it takes longer than 0.2 s", True)


def test_the_log_is_of_all_users_but_not_of_dteg(collector, google):
    log = collector.query_log()
    assert [(each.sql, each.calls) for each in log] == [("SELECT COUNT(*) FROM `retail.orders`", 2)]
    assert google.requests[-1].query["allUsers"] in ("true", "True")
    google.broken = Reply({"error": {"code": 403, "message": "Access Denied: no bigquery.jobs.listAll"}}, 403)
    with pytest.raises(EnvironmentProblemError, match=r"Access Denied.*grant bigquery\.jobs\.listAll"):
        collector.query_log()


def test_errors_say_whether_to_try_again(collector, google):
    google.broken = Reply({"error": {"code": 503, "message": "Backend Error"}}, 503)
    with pytest.raises(TransientError, match="Backend Error"):
        collector.tables()
    google.broken = Reply({"error": {"code": 403, "message": "Access Denied: Dataset shop:retail"}}, 403)
    with pytest.raises(PermanentError, match=r"^Access Denied: Dataset shop:retail$"):
        collector.tables()

"""The extractor as a whole: config, requests, contract."""

import time
from datetime import datetime

import pytest
from pydantic import ValidationError

from dteg.connectors import Checkpoint
from dteg.connectors.http import RateLimit, TokenBucket
from dteg.testing.contract import contract_tests
from dteg.testing.http_server import Reply

from .conftest import QUICK, ROWS, by_page, read, sliced
from .rest import RestExtractor


@pytest.mark.parametrize(
    "change",
    [
        {"base_url": "ftp://x"},
        {"base_url": "http://jo:pw@x/"},
        {"headers": {"Authorization": "Bearer abc"}},
        {"auth": {"type": "bearer", "token": "the token itself"}},
        {"auth": {"type": "magic"}},
        {"pagination": {"type": "cursor"}},
        {"pagination": {"type": "page", "stop_on_short_page": True}},
        {"streams": []},
        {"streams": [{"name": "a"}, {"name": "a"}]},
        {"streams": [{"name": "a", "body": {}}]},
        {"streams": [{"name": "a", "cursor_field": "x"}]},
        {"streams": [{"name": "a", "columns": {"id": "bigin"}}]},
        {"streams": [{"name": "a", "columns": {"id": "bigint"}, "primary_key": ["nr"]}]},
        {"rate_limit": {"requests_per_s": 0}},
    ],
)
def test_bad_config_is_refused(make, change):
    with pytest.raises(ValidationError) as caught:
        make(**change)
    assert "the token itself" not in str(caught.value)
    assert "pw@" not in str(caught.value)


def test_rate_limit_lets_a_burst_pass_and_then_waits():
    now, waits = [0.0], []

    def sleep(seconds):
        waits.append(round(seconds, 6))
        now[0] += seconds

    bucket = TokenBucket(RateLimit(requests_per_s=4, burst=2), clock=lambda: now[0], sleep=sleep)
    for _ in range(4):
        bucket.acquire()
    assert waits == [0.25, 0.25]
    now[0] += 100
    bucket.acquire()
    bucket.acquire()
    assert len(waits) == 2


def test_rate_limit_slows_requests(server, make):
    server.route("/items", by_page)
    stream = {"records_path": "data", "columns": {"id": "bigint"}}
    started = time.monotonic()
    read(make(stream=stream, pagination={"type": "page"}, rate_limit={"requests_per_s": 20}))
    assert time.monotonic() - started >= 3 / 20


def test_incremental_read_asks_for_the_cursor_and_filters_the_rest(server, make):
    server.route(
        "/items", lambda seen: Reply([row for row in ROWS if row["id"] >= int(seen.query.get("min", 0)) - 1])
    )
    stream = {
        "columns": {"id": "bigint"},
        "cursor_field": "id",
        "cursor_param": "min",
        "params": {"fixed": "yes"},
    }
    assert [row["id"] for row in read(make(stream=stream), Checkpoint(cursor=6))] == [6, 7]
    assert server.requests[0].query == {"min": "6", "fixed": "yes"}


def test_post_search_puts_parameters_into_the_body(server, make):
    def search(seen):
        asked = seen.json()
        assert asked["query"] == {"kind": "a", "after": "2026-01-01"}
        assert seen.headers["content-type"] == "application/json"
        return Reply({"hits": {"hits": sliced(asked["page"]["from"], 3)}})

    server.route("/items", search)
    stream = {
        "method": "POST", "body": {"query": {"kind": "a"}, "page": {"size": 3}}, "params_in": "body",
        "records_path": "hits.hits", "columns": {"id": "bigint", "name": "text"},
        "cursor_field": "name", "cursor_param": "query.after",
    }  # fmt: skip
    pagination = {"type": "offset", "offset_param": "page.from", "size_param": "page.size", "page_size": 3}
    assert read(make(stream=stream, pagination=pagination), Checkpoint(cursor="2026-01-01")) == ROWS


def test_check_sends_one_request(server, make):
    server.route("/items", by_page)
    make(stream={"records_path": "data"}, pagination={"type": "page"}).check()
    assert len(server.requests) == 1


@pytest.fixture
def contract_config(server):
    rows = [{**row, "at": f"2026-01-0{row['id']}T00:00:00Z"} for row in ROWS]

    def items(seen):
        since = datetime.fromisoformat(seen.query.get("since", "2000-01-01T00:00:00Z"))
        found = [row for row in rows if datetime.fromisoformat(row["at"]) >= since]
        return Reply(found[int(seen.query["offset"]) :][:2])

    server.route("/items", items)
    stream = {
        "name": "items", "path": "items", "cursor_field": "at", "cursor_param": "since", "primary_key": ["id"],
        "columns": {"id": "bigint", "name": "text", "at": "timestamptz"},
    }  # fmt: skip
    inferred = {"name": "guessed", "path": "items"}
    return {
        "base_url": server.url, "streams": [stream, inferred], "batch_rows": 3, "retry": QUICK,
        "pagination": {"type": "offset", "page_size": 2},
    }  # fmt: skip


TestRestContract = contract_tests(
    RestExtractor,
    config="contract_config",
    bad_config=[{"base_url": "nowhere"}, {"batch_rows": 0}],
    broken=[{"base_url": "http://127.0.0.1:1"}],
)

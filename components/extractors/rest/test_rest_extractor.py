"""The `rest` extractor against a server on the loopback interface that also misbehaves."""

import json
import logging
import random
import ssl
import time
import traceback
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pyarrow as pa
import pytest
from pydantic import ValidationError

from dteg.connectors import Checkpoint
from dteg.connectors.http import HttpClient, HttpConfig, RateLimit, TokenBucket
from dteg.connectors.http.response import retry_after_s
from dteg.core.batch import sql_type_of
from dteg.core.errors import ConfigError, DtegError, InputError, PermanentError, TransientError
from dteg.core.types import sql_field
from dteg.testing import make_context
from dteg.testing.contract import contract_tests
from dteg.testing.http_server import FakeServer, Reply

from .columns import infer_schema, to_batch
from .rest import RestConfig, RestExtractor, regroup

CANARY = "canary-5ecret+with~marks"
QUICK = {"max_attempts": 3, "base_delay_s": 0.001, "max_delay_s": 1.0}
ROWS = [{"id": number, "name": f"n{number}"} for number in range(1, 8)]


@pytest.fixture
def server():
    with FakeServer() as running:
        yield running


@pytest.fixture
def canary(monkeypatch):
    monkeypatch.setenv("REST_CANARY", CANARY)
    return "secret://env/REST_CANARY"


@pytest.fixture
def make(server, tmp_path):
    made = []

    def build(*, stream=None, **config):
        streams = [{"name": "items", "path": "/items", **(stream or {})}]
        given = {"base_url": server.url, "streams": streams, "retry": QUICK, **config}
        extractor = RestExtractor(RestConfig.model_validate(given), make_context(tmp_path))
        made.append(extractor)
        return extractor

    yield build
    for extractor in made:
        extractor.close()


def read(extractor, since=None):
    (stream,) = extractor.streams()
    return [row for batch in extractor.read(stream, since) for row in batch.to_pylist()]


def sliced(start, size):
    return ROWS[start : start + size]


# --- pagination --------------------------------------------------------------------------------


def by_page(seen):
    return Reply({"data": sliced((int(seen.query["page"]) - 1) * 3, 3), "meta": {"total": len(ROWS)}})


def by_offset(seen):
    size = min(int(seen.query["limit"]), 2)  # gives fewer than it is asked for
    return Reply({"data": sliced(int(seen.query["offset"]), size)})


def by_cursor(seen):
    start = int(seen.query.get("cursor", 0))
    following = start + 3 if start + 3 < len(ROWS) else None
    return Reply({"data": sliced(start, 3), "meta": {"next": following}})


def by_last_record(seen):
    start = int(seen.query.get("after", 0))
    return Reply({"data": sliced(start, 3), "more": start + 3 < len(ROWS)})


def by_token_header(seen):
    start = int(seen.query.get("token", 0))
    headers = {"X-Next": str(start + 3)} if start + 3 < len(ROWS) else {}
    return Reply({"data": sliced(start, 3)}, headers=headers)


def by_link(seen):
    start = int(seen.query.get("from", 0))
    headers = {"Link": f'</items?from=0>; rel="first", </items?from={start + 3}>; rel="next"'}
    return Reply({"data": sliced(start, 3)}, headers=headers if start + 3 < len(ROWS) else {})


def by_next_url(seen):
    start = int(seen.query.get("from", 0))
    following = f"http://{seen.headers['host']}/items?from={start + 3}" if start + 3 < len(ROWS) else None
    return Reply({"data": sliced(start, 3), "next": following})


@pytest.mark.parametrize(
    ("route", "pagination", "requests"),
    [
        (lambda _seen: Reply({"data": ROWS}), {"type": "none"}, 1),
        (by_page, {"type": "page"}, 4),
        (by_page, {"type": "page", "total_path": "meta.total"}, 3),
        (by_page, {"type": "page", "page_size": 3, "stop_on_short_page": True}, 3),
        (by_offset, {"type": "offset", "page_size": 5}, 5),
        (by_cursor, {"type": "cursor", "cursor_path": "meta.next"}, 3),
        (
            by_last_record,
            {"type": "cursor", "cursor_param": "after", "last_record_field": "id", "has_more_path": "more"},
            3,
        ),
        (by_token_header, {"type": "next_token", "token_param": "token", "token_header": "X-Next"}, 3),
        (by_cursor, {"type": "next_token", "token_param": "cursor", "token_path": "meta.next"}, 3),
        (by_link, {"type": "link_header"}, 3),
        (by_next_url, {"type": "next_url"}, 3),
    ],
)
def test_each_pagination_reads_every_record_once(server, make, route, pagination, requests):
    server.route("/items", route)
    columns = {"id": "bigint", "name": "text"}
    extractor = make(stream={"records_path": "data", "columns": columns}, pagination=pagination)
    assert read(extractor) == ROWS
    assert len(server.requests) == requests


def test_page_size_is_asked_for(server, make):
    server.route("/items", [Reply([])])
    pagination = {"type": "page", "size_param": "per_page", "page_size": 50}
    assert read(make(stream={"columns": {"id": "bigint"}}, pagination=pagination)) == []
    assert server.requests[0].query == {"page": "1", "per_page": "50"}


def test_server_that_ignores_the_page_is_noticed(server, make):
    server.route("/items", [Reply(ROWS)])
    with pytest.raises(PermanentError, match="page 2 has the same records"):
        read(make(stream={"columns": {"id": "bigint"}}, pagination={"type": "page"}))


def test_pages_that_start_again_are_noticed(server, make):
    server.route("/items", lambda seen: Reply(sliced(int(seen.query["page"]) % 3, 1)))
    with pytest.raises(PermanentError, match="page 4 has the same records"):
        read(make(stream={"columns": {"id": "bigint"}}, pagination={"type": "page"}))


@pytest.mark.parametrize(
    ("pagination", "reply"),
    [
        ({"type": "cursor", "cursor_path": "next"}, Reply({"data": ROWS, "next": "same"})),
        ({"type": "next_url"}, Reply({"data": ROWS, "next": "/items?page=1"})),
        ({"type": "link_header"}, Reply({"data": ROWS}, headers={"Link": '<?x=1>; rel="next"'})),
    ],
)
def test_same_token_twice_ends_the_loop(server, make, pagination, reply):
    server.route("/items", [reply])
    stream = {"records_path": "data", "columns": {"id": "bigint"}}
    with pytest.raises(PermanentError, match="leads back"):
        read(make(stream=stream, pagination=pagination))
    assert len(server.requests) <= 3


def test_max_pages_ends_the_loop(server, make):
    server.route("/items", lambda seen: Reply([{"id": int(seen.query["page"])}]))
    with pytest.raises(PermanentError, match="more than 5 pages"):
        read(make(stream={"columns": {"id": "bigint"}}, pagination={"type": "page", "max_pages": 5}))


@pytest.mark.parametrize("link", ["http://127.0.0.2:9/items", "//evil.example/x", "https://127.0.0.1/items"])
def test_next_link_to_another_origin_is_not_followed(server, make, canary, link):
    server.route("/items", [Reply({"data": ROWS, "next": link})])
    extractor = make(
        stream={"records_path": "data", "columns": {"id": "bigint"}},
        pagination={"type": "next_url"},
        auth={"type": "bearer", "token": canary},
    )
    with pytest.raises(PermanentError, match="another origin"):
        read(extractor)


def test_redirect_stays_on_the_origin(server, make):
    server.route("/items", [Reply(status=302, headers={"Location": "/moved"})])
    server.route("/moved", [Reply(ROWS)])
    assert len(read(make())) == len(ROWS)
    server.route("/items", [Reply(status=302, headers={"Location": "http://127.0.0.2:9/"})])
    with pytest.raises(PermanentError, match=r"redirect .* another origin"):
        read(make())


def test_redirects_in_a_circle_end(server, make):
    server.route("/items", [Reply(status=307, headers={"Location": "/items"})])
    with pytest.raises(PermanentError, match="redirects"):
        read(make())


# --- faults ------------------------------------------------------------------------------------


def test_500_is_tried_again(server, make):
    server.route("/items", [Reply(b"oops", 500), Reply(ROWS)])
    extractor = make(stream={"columns": {"id": "bigint"}})
    assert len(read(extractor)) == len(ROWS)
    assert len(server.requests) == 2


def test_429_waits_as_long_as_it_is_asked_to(server):
    waits = []
    config = HttpConfig.model_validate({"retry": {**QUICK, "max_delay_s": 60}})
    client = HttpClient(config, component="rest", sleep=waits.append)
    server.route("/items", [Reply(status=429, headers={"Retry-After": "7"}), Reply(ROWS)])
    assert client.request("GET", f"{server.url}/items").attempts == 2
    client.close()
    assert waits == [7.0]


def test_retry_after_may_be_a_date():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after_s(format_datetime(now + timedelta(seconds=90), usegmt=True), now) == 90
    assert retry_after_s(format_datetime(now - timedelta(seconds=90), usegmt=True), now) == 0
    assert retry_after_s("soon", now) is None
    assert retry_after_s("", now) is None


def test_attempts_run_out(server, make):
    server.route("/items", [Reply({"error": "down"}, 503)])
    with pytest.raises(TransientError, match=r"503.*down"):
        read(make())
    assert len(server.requests) == QUICK["max_attempts"]


def test_connection_dropped_in_the_body_is_tried_again(server, make):
    server.route("/items", [Reply(ROWS, cut_after=20), Reply(ROWS)])
    assert read(make(stream={"columns": {"id": "bigint", "name": "text"}})) == ROWS


def test_slow_answer_times_out(server, make):
    server.route("/items", [Reply(ROWS, delay_s=0.3)])
    extractor = make(read_timeout_s=0.05, retry={**QUICK, "max_attempts": 2})
    with pytest.raises(TransientError, match="ReadTimeout"):
        read(extractor)


def test_nobody_listens(make):
    with pytest.raises(TransientError, match="ConnectError"):
        make(base_url="http://127.0.0.1:1").check()


def test_unknown_certificate_is_not_tried_again(make, monkeypatch, tmp_path):
    trustme = pytest.importorskip("trustme")
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FakeServer(tls=context) as server:
        server.route("/items", [Reply(ROWS)])
        with pytest.raises(PermanentError, match="CERTIFICATE_VERIFY_FAILED"):
            make(base_url=server.url).check()
        assert server.requests == []
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        make(base_url=server.url).check()


def test_next_url_is_used_as_the_server_wrote_it(server, make):
    raw = []
    server.route(
        "/items",
        lambda seen: (
            raw.append(seen.raw_query)
            or Reply({"data": ROWS, "next": None if raw[1:] else "/items?sig=a%2Fb&flag&s=x+y"})
        ),
    )
    read(make(stream={"records_path": "data", "columns": {"id": "bigint"}}, pagination={"type": "next_url"}))
    assert raw == ["", "sig=a%2Fb&flag&s=x+y"]


def test_truncated_json_is_an_input_error(server, make):
    server.route("/items", [Reply(json.dumps(ROWS).encode()[:30])])
    with pytest.raises(InputError, match="not JSON"):
        read(make())
    assert len(server.requests) == 1


def test_html_is_an_input_error(server, make):
    server.route("/items", [Reply(b"<html>Sign in</html>", headers={"Content-Type": "text/html"})])
    with pytest.raises(InputError, match=r"text/html.*Sign in"):
        read(make())


def test_answer_over_the_cap_is_refused(server, make):
    server.route("/items", [Reply(b"[" + b" " * 10_000 + b"]")])
    with pytest.raises(PermanentError, match="max_response_bytes"):
        read(make(max_response_bytes=5_000))


def test_wrong_records_path_says_what_is_there(server, make):
    server.route("/items", [Reply({"items": [], "total": 0})])
    with pytest.raises(InputError, match=r"leads to nothing.*items, total"):
        read(make(stream={"records_path": "data", "columns": {"id": "bigint"}}))


def test_404_is_permanent_and_shows_the_start_of_the_body(server, make):
    server.route("/items", [Reply({"error": "x" * 500}, 404)])
    with pytest.raises(PermanentError, match="answered 404") as caught:
        read(make())
    assert len(str(caught.value)) < 300
    assert len(server.requests) == 1


# --- auth --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auth", "sees"),
    [
        (
            {"type": "basic", "username": "jo", "password": "SECRET"},
            lambda seen: "authorization" in seen.headers,
        ),
        (
            {"type": "bearer", "token": "SECRET"},
            lambda seen: seen.headers["authorization"].startswith("Bearer canary"),
        ),
        ({"type": "api_key", "key": "SECRET"}, lambda seen: seen.headers["x-api-key"].startswith("canary")),
        (
            {"type": "api_key", "key": "SECRET", "send_in": "query", "name": "key"},
            lambda seen: seen.query["key"].startswith("canary"),
        ),
    ],
)
def test_each_auth_is_sent_and_never_shown(server, make, canary, caplog, auth, sees):  # noqa: PLR0917
    caplog.set_level(logging.DEBUG)

    def echo(seen):  # a server that repeats all it got
        assert sees(seen)
        told = {"query": seen.query, "headers": seen.headers, "raw": f"?key={seen.query}"}
        return Reply(told, 400 if len(server.requests) > 1 else 500)

    server.route("/items", echo)
    auth = {name: canary if text == "SECRET" else text for name, text in auth.items()}
    extractor = make(auth=auth)
    with pytest.raises(PermanentError, match="answered 400") as caught:
        read(extractor)
    shown = (
        "".join(traceback.format_exception(caught.value)) + caplog.text + repr(extractor) + repr(caught.value)
    )
    assert len(server.requests) == 2
    assert "attempt 1 failed" in caplog.text
    assert CANARY not in shown
    assert "Y2FuYXJ5" not in shown  # base64 of user and password would hold "canary"
    assert CANARY not in extractor.config.model_dump_json()


def test_no_auth_sends_no_credentials(server, make):
    server.route("/items", [Reply(ROWS)])
    make().check()
    assert "authorization" not in server.requests[0].headers


def test_key_in_the_query_goes_along_with_each_page(server, make, canary):
    server.route("/items", by_link)
    auth = {"type": "api_key", "key": canary, "send_in": "query", "name": "key"}
    stream = {"records_path": "data", "columns": {"id": "bigint"}}
    assert len(read(make(stream=stream, auth=auth, pagination={"type": "link_header"}))) == len(ROWS)
    assert [seen.query["key"] for seen in server.requests] == [CANARY] * 3


@pytest.mark.parametrize("client_auth", ["basic", "body"])
def test_oauth_token_is_kept_and_renewed_once_on_401(server, make, canary, client_auth):
    tokens = iter(["first", "second", "third", "fourth"])
    good = {"first"}
    server.route("/token", lambda _seen: Reply({"access_token": next(tokens), "expires_in": 3600}))

    def guarded(seen):
        token = seen.headers["authorization"].removeprefix("Bearer ")
        if token not in good:
            return Reply({"error": "expired"}, 401)
        if seen.query["page"] == "2":
            good.clear()
            good.add("second")
        return by_page(seen)

    server.route("/items", guarded)
    auth = {
        "type": "oauth2_client_credentials", "token_url": f"{server.url}/token", "client_id": "me",
        "client_secret": canary, "scope": "read", "client_auth": client_auth,
    }  # fmt: skip
    stream = {"records_path": "data", "columns": {"id": "bigint", "name": "text"}}
    assert read(make(stream=stream, auth=auth, pagination={"type": "page"})) == ROWS
    assert [seen.path for seen in server.requests].count("/token") == 2
    good.clear()
    with pytest.raises(PermanentError, match="401"):
        read(make(stream=stream, auth=auth, pagination={"type": "page"}))


def test_oauth_token_is_renewed_before_it_expires(server, make, canary):
    server.route("/token", [Reply({"access_token": "tok", "expires_in": 0})])
    server.route("/items", by_page)
    auth = {
        "type": "oauth2_client_credentials", "token_url": f"{server.url}/token", "client_id": "me",
        "client_secret": canary,
    }  # fmt: skip
    stream = {"records_path": "data", "columns": {"id": "bigint"}}
    read(make(stream=stream, auth=auth, pagination={"type": "page"}))
    assert [seen.path for seen in server.requests].count("/token") == 4


def test_refused_oauth_client_shows_no_secret(server, make, canary):
    server.route("/token", lambda seen: Reply({"error": "invalid_client", "got": seen.body.decode()}, 400))
    auth = {
        "type": "oauth2_client_credentials", "token_url": f"{server.url}/token", "client_id": "me",
        "client_secret": canary, "client_auth": "body",
    }  # fmt: skip
    with pytest.raises(PermanentError, match="invalid_client") as caught:
        make(auth=auth).check()
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_secret_that_fits_no_header_is_refused_unseen(server, make, canary, monkeypatch):
    monkeypatch.setenv("REST_CANARY", "canary\ninjected: 1")
    with pytest.raises(ConfigError, match="cannot carry") as caught:
        make(auth={"type": "bearer", "token": canary}).check()
    assert "canary" not in str(caught.value)


# --- config ------------------------------------------------------------------------------------


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


# --- requests ----------------------------------------------------------------------------------


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


# --- records -----------------------------------------------------------------------------------


def test_schema_is_inferred_in_order_of_appearance():
    records = [
        {"id": 1, "ok": True, "size": 1, "tags": ["a"], "none": None, "mixed": 1, "huge": 2**63},
        {"id": 2, "ok": None, "size": 1.5, "tags": None, "none": None, "mixed": "x", "huge": 1, "late": "y"},
    ]
    schema = infer_schema(records)
    assert {field.name: sql_type_of(field) for field in schema} == {
        "id": "bigint", "ok": "boolean", "size": "double precision", "tags": "jsonb", "none": "jsonb",
        "mixed": "jsonb", "huge": "numeric(20,0)", "late": "text",
    }  # fmt: skip
    batch, rejected = to_batch(records, schema, refuse_unknown=True)
    assert not rejected
    assert batch.to_pylist()[1] == {
        "id": 2, "ok": None, "size": 1.5, "tags": None, "none": None, "mixed": '"x"', "huge": Decimal(1), "late": "y",
    }  # fmt: skip


def test_record_that_does_not_fit_is_set_aside(server, make):
    later = [{"id": "x", "name": "n"}, {"id": 2.5, "name": "n"}, {"id": 8, "new": 1}, "text", {"id": 9}]
    server.route(
        "/items",
        lambda seen: Reply(ROWS if seen.query["page"] == "1" else later if seen.query["page"] == "2" else []),
    )
    extractor = make(pagination={"type": "page"}, infer_records=5)
    assert [row["id"] for row in read(extractor)] == [1, 2, 3, 4, 5, 6, 7, 9]
    letters = extractor.context.dead_letters
    assert [letter.position for letter in letters] == [
        f"items page 2 (record {number})" for number in (1, 2, 3, 4)
    ]
    assert "'id' is not bigint" in letters[0].reason
    assert "unknown field 'new'" in letters[2].reason
    assert letters[3].payload == {"value": "text"}


def test_columns_are_cast_from_json_values():
    types = {
        "a": "numeric(12,2)", "b": "timestamptz", "c": "date", "d": "jsonb", "e": "uuid", "f": "text", "g": "bigint",
    }  # fmt: skip
    schema = pa.schema([sql_field(name, type_) for name, type_ in types.items()])
    uuid = "0b0e7cd8-4a0c-4f0e-9d5e-1f6f6f6f6f6f"
    good = {
        "a": "12.50", "b": "2026-01-01T10:00:00+02:00", "c": "2026-01-01", "d": {"x": [1]}, "e": uuid,
        "f": "t", "g": "5", "unknown": 1,
    }  # fmt: skip
    mixed = {"a": 1.25, "b": None, "c": None, "d": 7, "e": None, "f": {"x": 1}, "g": 6}
    bad = {"a": "much", "b": "yesterday", "c": 5, "e": "no", "g": 2**64}
    batch, rejected = to_batch([good, mixed, bad], schema, refuse_unknown=False)
    assert [each.index for each in rejected] == [2]
    assert all(f"'{name}' is not" in rejected[0].reason for name in "abceg")
    first, second = batch.to_pylist()
    assert first["a"] == Decimal("12.50")
    assert first["b"] == datetime(2026, 1, 1, 8, tzinfo=UTC)
    assert (first["d"], first["g"]) == ('{"x":[1]}', 5)
    assert (second["a"], second["d"], second["f"], second["g"]) == (Decimal("1.25"), "7", '{"x":1}', 6)


def test_random_mixes_never_crash_and_lose_nothing():
    rng = random.Random(7)
    values = [
        None,
        True,
        0,
        -1,
        2**63,
        2**64 - 1,
        1.5,
        1e300,
        "",
        "7",
        "x",
        "2026-01-01",
        [],
        [1, "a"],
        {},
        {"k": None},
    ]
    types = [
        "bigint",
        "integer",
        "double precision",
        "boolean",
        "text",
        "jsonb",
        "numeric(6,2)",
        "date",
        "timestamptz",
    ]
    for _ in range(200):
        schema = pa.schema([sql_field(f"c{place}", rng.choice(types)) for place in range(3)])
        records = [{f"c{place}": rng.choice(values) for place in range(3)} for _ in range(rng.randrange(6))]
        batch, rejected = to_batch(records, schema, refuse_unknown=False)
        assert batch.num_rows + len(rejected) == len(records)
        assert batch.schema.equals(schema, check_metadata=True)
        batch.validate(full=True)


def test_stream_without_records_cannot_be_inferred(server, make):
    server.route("/items", [Reply([])])
    with pytest.raises(InputError, match="write the columns"):
        list(make().streams())


def test_missing_primary_key_is_an_error(server, make):
    server.route("/items", [Reply(ROWS)])
    with pytest.raises(InputError, match="no record has nr"):
        list(make(stream={"primary_key": ["nr"]}).streams())


def test_pages_become_batches_of_the_wanted_size():
    schema = pa.schema([("n", pa.int64())])
    pages = [pa.RecordBatch.from_pylist([{"n": 1}] * rows, schema=schema) for rows in (3, 0, 11, 1, 4)]
    assert [batch.num_rows for batch in regroup(pages, 4)] == [4, 4, 4, 4, 3]
    assert [batch.num_rows for batch in regroup(pages, 100)] == [19]
    assert list(regroup([], 4)) == []


def test_unknown_stream_is_ours(make):
    with pytest.raises(DtegError):
        make()._source("other")


# --- contract ----------------------------------------------------------------------------------


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

"""What servers and networks do wrong."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from dteg.connectors.http import HttpClient, HttpConfig
from dteg.connectors.http.response import retry_after_s
from dteg.core.errors import InputError, PermanentError, TransientError
from dteg.testing.http_server import FakeServer, Reply

from .conftest import QUICK, ROWS, read


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

"""Files over HTTP, from a server that also misbehaves."""

import http.server
import re
import threading

import pyarrow as pa
import pytest

from dteg.connectors.base import Checkpoint
from dteg.core.errors import PermanentError, TransientError

from .conftest import make_extractor, parquet_bytes, read

ROWS = 30_000
CUT_AT = 100_000  # bytes; more than one read of a connection brings


class FileServer(http.server.ThreadingHTTPServer):
    """Serves one content; can cut, refuse, redirect and change."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = b"id,name\n" + b"".join(b"%d,x\n" % number for number in range(ROWS))
        self.etag = '"v1"'
        self.cut_at = None
        self.answers = []  # (status, headers) to give first
        self.seen = []  # (method, headers)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data.csv"


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        server.seen.append((self.command, dict(self.headers)))
        if server.answers:
            status, headers = server.answers.pop(0)
            self.reply(status, headers)
            return
        if server.etag and self.headers.get("If-None-Match") == server.etag:
            self.reply(304, {"ETag": server.etag})
            return
        start = 0
        if "Range" in self.headers and self.headers.get("If-Range") == server.etag:
            start = int(re.match(r"bytes=(\d+)-", self.headers["Range"])[1])
        body = server.content[start:]
        headers = {"Content-Length": str(len(body))}
        if server.etag:
            headers["ETag"] = server.etag
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
        self.reply(206 if start else 200, headers, body)

    def reply(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", "0")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cut_at is not None:
            body, self.server.cut_at = body[: self.server.cut_at], None
            self.close_connection = True
        self.wfile.write(body)


@pytest.fixture
def server():
    with FileServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_http_file_is_downloaded_once_and_then_only_asked_about(folder, server):
    first = make_extractor(folder, server.url)
    _, rows, _ = read(first)
    assert len(rows) == ROWS
    saved = Checkpoint(position=first.checkpoint(next(iter(first.streams()))))
    assert [method for method, _ in server.seen] == ["GET"]
    again = make_extractor(folder, server.url)
    assert read(again, saved)[1] == []
    assert server.seen[-1][1]["if-none-match"] == '"v1"'
    server.content, server.etag = b"id,name\n1,new\n", '"v2"'
    assert read(make_extractor(folder, server.url), saved)[1] == [{"id": 1, "name": "new"}]


def test_http_download_goes_on_where_it_was_cut(folder, server):
    server.cut_at = CUT_AT
    with pytest.raises(TransientError, match="the next try goes on"):
        read(make_extractor(folder, server.url))
    _, rows, _ = read(make_extractor(folder, server.url))
    assert [row["id"] for row in rows] == list(range(ROWS))
    assert server.seen[-1][1]["range"] == f"bytes={CUT_AT}-"


def test_http_download_starts_again_when_the_file_changed_after_the_cut(folder, server):
    server.cut_at = CUT_AT
    with pytest.raises(TransientError):
        read(make_extractor(folder, server.url))
    server.content, server.etag = b"id,name\n1,new\n", '"v2"'
    assert read(make_extractor(folder, server.url))[1] == [{"id": 1, "name": "new"}]


def test_http_download_without_validators_starts_again(folder, server):
    server.etag = ""
    server.cut_at = CUT_AT
    with pytest.raises(TransientError):
        read(make_extractor(folder, server.url))
    extractor = make_extractor(folder, server.url)
    assert len(read(extractor)[1]) == ROWS
    assert "range" not in server.seen[-1][1]
    (fingerprint,) = extractor.checkpoint(next(iter(extractor.streams())))["files"].values()
    assert fingerprint.startswith("sha256=")


@pytest.mark.parametrize(
    ("status", "headers", "error", "retry_after_s"),
    [
        (404, {}, PermanentError, None),
        (403, {}, PermanentError, None),
        (503, {"Retry-After": "7"}, TransientError, 7.0),
        (429, {"Retry-After": "Wed, 01 Jan 2020 00:00:00 GMT"}, TransientError, 0.0),
        (500, {}, TransientError, None),
        (416, {}, TransientError, None),
    ],
)
def test_http_status_becomes_our_error(folder, server, *, status, headers, error, retry_after_s):
    server.answers = [(status, headers)]
    with pytest.raises(error) as caught:
        read(make_extractor(folder, server.url))
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s


def test_unreachable_server_is_transient_and_hides_the_password(folder):
    with pytest.raises(TransientError) as caught:
        read(make_extractor(folder, "http://me:hunter2@127.0.0.1:1/data.csv"))
    assert "hunter2" not in str(caught.value)


def test_url_and_header_that_cannot_be_sent_are_our_error(folder, server, monkeypatch):
    monkeypatch.setenv("TEST_FILES_KEY", "schlüssel")
    with pytest.raises(PermanentError) as caught:
        read(make_extractor(folder, server.url, headers={"X-Key": "secret://env/TEST_FILES_KEY"}))
    assert "schl" not in str(caught.value)
    with pytest.raises(PermanentError, match="not valid"):
        read(make_extractor(folder, "http://127.0.0.1:port/data.csv"))


def test_headers_are_sent_to_the_configured_server_only(folder, server, monkeypatch):
    monkeypatch.setenv("TEST_FILES_KEY", "k-123")
    server.answers = [(302, {"Location": server.url.replace("127.0.0.1", "localhost")})]
    extractor = make_extractor(folder, server.url, headers={"X-Key": "secret://env/TEST_FILES_KEY"})
    assert len(read(extractor)[1]) == ROWS
    first, second = (headers for _, headers in server.seen)
    assert first["X-Key"] == "k-123"
    assert "X-Key" not in second


def test_redirect_to_another_scheme_and_redirect_loops_are_refused(folder, server):
    server.answers = [(302, {"Location": "ftp://example.com/data.csv"})]
    with pytest.raises(PermanentError, match="ftp"):
        read(make_extractor(folder, server.url))
    server.answers = [(302, {"Location": server.url})] * 10
    with pytest.raises(PermanentError, match="redirects"):
        read(make_extractor(folder, server.url))


def test_http_sensor_asks_for_headers_only(folder, server):
    sensor = make_extractor(folder, server.url).change_sensor()
    before = sensor.fingerprint()
    assert {method for method, _ in server.seen} == {"HEAD"}
    server.etag = '"v2"'
    assert sensor.fingerprint() != before
    server.answers = [(405, {})]
    assert sensor.fingerprint() != before
    assert server.seen[-1][0] == "GET"


def test_http_parquet_is_read_from_the_cache(folder, server):
    server.content = parquet_bytes(pa.table({"a": [1, 2]}))
    extractor = make_extractor(folder, server.url.replace(".csv", ".parquet"))
    assert read(extractor)[1] == [{"a": 1}, {"a": 2}]

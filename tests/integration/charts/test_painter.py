"""The process that makes pictures: it loads nothing, ends when it hangs, and comes again."""

import http.server
import threading
import time

import pytest

from dteg.charts.render import Painter
from dteg.core.errors import DtegError, TransientError

pytestmark = pytest.mark.integration
BARS = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json", "width": 100, "height": 50,
    "data": {"values": [{"a": "x", "b": 1}]}, "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "type": "quantitative"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def painter():
    one = Painter()
    yield one
    one.close()


def test_a_picture_with_its_process_kept_for_the_next(painter):
    assert painter.png(BARS, 1.0).startswith(b"\x89PNG")
    process = painter._process
    assert painter.svg(BARS).startswith("<svg")
    assert painter._process is process


def test_what_cannot_be_drawn_is_told_and_the_next_picture_is_fine(painter):
    with pytest.raises(DtegError, match="cannot be drawn"):
        painter.png({**BARS, "mark": "no such mark"})
    assert painter.png(BARS).startswith(b"\x89PNG")


@pytest.fixture
def listener():
    """A server that notes who asks."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a,b\nsecret,1\n")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["file", "http", "image"])
def test_nothing_is_loaded_even_if_a_specification_asked_for_it(painter, listener, tmp_path, kind):
    port, asked = listener
    (tmp_path / "secret.csv").write_text("a,b\nsecret,1\n")
    urls = {"file": f"file://{tmp_path}/secret.csv", "http": f"http://127.0.0.1:{port}/secret.csv", "image": f"http://127.0.0.1:{port}/x.png"}  # fmt: skip
    spec = {**BARS, "data": {"url": urls[kind]}}
    if kind == "image":
        spec = {**BARS, "mark": {"type": "image", "url": urls[kind], "width": 10, "height": 10}}
    try:
        text = painter.svg(spec)
    except DtegError:
        text = ""
    assert "secret" not in text.replace(urls[kind], "")
    assert asked == []


def test_a_process_that_hangs_is_ended():
    one = Painter(timeout_s=0.01)
    try:
        with pytest.raises(TransientError, match="not ready"):
            one.png(BARS)
        assert one._process is None
    finally:
        one.close()


def test_a_process_that_dies_is_begun_anew(painter):
    painter.png(BARS)
    painter._process.kill()
    painter._process.wait()
    assert painter.png(BARS).startswith(b"\x89PNG")


def test_an_unused_process_ends():
    one = Painter(idle_s=1)
    one.png(BARS)
    process = one._process
    for _ in range(1200):
        if process.poll() is not None and one._process is None:
            break
        time.sleep(0.05)
    assert process.poll() is not None
    assert one._process is None

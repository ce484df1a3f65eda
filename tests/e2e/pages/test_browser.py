"""The browser that all tests of pages use notices, and stops, what a page asks other machines for."""

import pytest

from dteg.testing.browser import requests_elsewhere
from dteg.testing.http_server import FakeServer, Reply

pytestmark = pytest.mark.e2e
PAGE = b"""<script src="/own.js"></script><img src="https://example.org/a.png"><script>
failed = 0; document.images[0].onerror = () => failed++;
fetch("http://192.0.2.1/b").catch(() => failed++);
new WebSocket("wss://example.org/c").onerror = () => failed++;
</script>"""


def test_what_a_page_asks_others_for_is_noticed_and_does_not_get_there(chromium):
    with FakeServer() as server:
        server.route("/", [Reply(PAGE, headers={"Content-Type": "text/html"})])
        server.route("/own.js", [Reply(b"own = 1", headers={"Content-Type": "text/javascript"})])
        context = chromium.new_context()
        elsewhere = requests_elsewhere(context)
        page = context.new_page()
        page.goto(f"{server.url}/")
        page.wait_for_function("failed === 3", timeout=60_000)
        assert page.evaluate("own") == 1
        context.close()
    assert sorted(elsewhere) == ["http://192.0.2.1/b", "https://example.org/a.png", "wss://example.org/c"]

"""A registry that may call this machine, and a receiver that it calls."""

import base64
import hashlib
import hmac
import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from registry.testing import running_registry


class Receiver:
    """Keeps what it gets and answers what it is told to; it knows nothing of the code that signs.

    Attributes:
        url: Where.
        got: (headers in lower case, body) of each request.
        answers: Statuses of the next answers, or (status, headers); then 204.
    """

    def __init__(self):
        self.got, self.answers, self.lock = [], deque(), threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with receiver.lock:
                    receiver.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
                    answer = receiver.answers.popleft() if receiver.answers else 204
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    @property
    def events(self):
        return [json.loads(body) for _, body in self.got]

    def is_signed(self, secret, number=-1):
        """Return whether a request is signed with a secret, as the Standard Webhooks specification says."""
        headers, body = self.got[number]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return headers["webhook-signature"] == f"v1,{expected}"


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def registry(mongodb_url, tmp_path):
    """A registry that calls only when a test says `deliver`."""
    with running_registry(mongodb_url, tmp_path / "registry", private_webhooks=True) as running:
        running.run(running.services.webhooks.stop())
        yield running

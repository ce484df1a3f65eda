"""A web server on the loopback interface for tests: routes are functions, and answers can be broken on purpose."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the server saw it.

    Attributes:
        method: HTTP method.
        path: Path without query.
        query: Query parameters.
        headers: Headers, names in lower case.
        body: Body.
        raw_query: The query as it was sent.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    raw_query: str = ""

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers.

    Attributes:
        body: Bytes as they are, or a value that becomes JSON.
        status: HTTP status.
        headers: Headers to add.
        delay_s: Wait before answering.
        cut_after: Announce the whole body but close after that many bytes.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut_after: int | None = None


Route = Callable[[Seen], Reply]


class FakeServer:
    """Serves routes until closed; remembers each request.

    A route is a function, or a list of replies that are given one after the other, the last one for ever.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a free port, with a certificate if `tls` has one."""
        self.requests: list[Seen] = []
        self._routes: dict[str, Route] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def route(self, path: str, replies: Route | list[Reply]) -> None:
        """Answer a path."""
        self._routes[path] = replies if callable(replies) else _in_turn(replies)

    def answer(self, seen: Seen) -> Reply:
        """Remember a request and return its answer."""
        self.requests.append(seen)
        route = self._routes.get(seen.path)
        return route(seen) if route else Reply({"error": "not found"}, 404)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()


def _in_turn(replies: list[Reply]) -> Route:
    left = list(replies)
    return lambda _seen: left.pop(0) if len(left) > 1 else left[0]


class _Server(ThreadingHTTPServer):
    fake: FakeServer
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients that hang up are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base class
        """Stay silent."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        seen = Seen(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body, parts.query)
        self._write(self.server.fake.answer(seen))

    def _write(self, reply: Reply) -> None:
        time.sleep(reply.delay_s)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: reply.cut_after])
        self.wfile.flush()
        if reply.cut_after is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_OPTIONS = do_HEAD = _handle  # noqa: N815 - named by the base class

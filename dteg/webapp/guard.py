"""What happens around every request: its id, limits of size and time, headers for browsers, and one line of log."""

import asyncio
import json
import logging
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dteg.webapp.addresses import address_of
from dteg.webapp.problems import problem

MEGABYTE = 1_000_000
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOG = logging.getLogger(__name__)
_API = "/api/v1"
_SILENCE_S = 30.0
_GZIP_FROM_BYTES = 1_000
_PAGE_POLICY = "; ".join(
    f"{kind} {source}"
    for kind, source in {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:",
        "font-src": "'self'", "connect-src": "'self'", "manifest-src": "'self'", "form-action": "'self'",
        "base-uri": "'none'", "frame-ancestors": "'none'",
    }.items()
)  # fmt: skip
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take.

    Attributes:
        max_bytes: Size of its body.
        timeout_s: Seconds until an answer begins.
    """

    max_bytes: int
    timeout_s: float


class Surroundings(ABC):
    """What differs between apps around a request.

    Attributes:
        name: What the app is called in messages, such as `registry`.
        https: Whether its users speak TLS with it.
        access_log: Gets one JSON document for each request.
        free: Beginnings of paths that are never compressed here.
    """

    name: str
    https: bool
    access_log: logging.Logger
    free: tuple[str, ...] = ()

    @abstractmethod
    def limits(self, method: str, path: str) -> Limits:
        """Return what a request may take."""

    def refusal(self, scope: Scope) -> ASGIApp | None:
        """Return the answer to a request that shall not reach the app; None lets it in."""
        return None

    def begin(self) -> None:  # noqa: B027 - not every app counts
        """Count a request that begins."""

    def end(self, method: str, template: str, status: int, seconds: float) -> None:  # noqa: B027
        """Count a request that has ended; `template` is its path with names of parameters."""


def add_middleware(app: FastAPI, around: Surroundings) -> None:
    """Put the layers around an app."""
    app.add_middleware(Compress, free=around.free)
    app.add_middleware(Guard, around=around)


class Guard:
    """Limits, headers and log; the outermost layer.

    Args:
        app: What lies inside.
        around: What is special about the app.
    """

    def __init__(self, app: ASGIApp, around: Surroundings) -> None:
        self.app = app
        self.around = around

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            refusal = self.around.refusal(scope)
            await (refusal or self.app)(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self.around.https)
        limits = self.around.limits(exchange.method, exchange.path)
        exchange.limit = limits.max_bytes
        self.around.begin()
        try:
            refusal = self._refusal(exchange)
            if refusal is not None:
                await exchange.answer(refusal)
            else:
                await self._run(exchange, limits.timeout_s)
        finally:
            seconds_taken = time.perf_counter() - exchange.started
            self.around.end(exchange.method, _template(scope), exchange.status, seconds_taken)
            _log(self.around.access_log, exchange, seconds_taken)

    def _refusal(self, exchange: "_Exchange") -> ASGIApp | None:
        length = exchange.headers.get("content-length", "")
        if length.isdecimal() and int(length) > exchange.limit:
            return _too_large(exchange.limit)
        return self.around.refusal(exchange.scope)

    async def _run(self, exchange: "_Exchange", seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds) as limit:
                exchange.on_start = lambda: limit.reschedule(None)  # a download may take as long as it takes
                await self.app(exchange.scope, exchange.receive, exchange.send)
        except TimeoutError:
            if exchange.status:
                raise
            detail = f"no answer within {seconds:g} s; try again later"
            await exchange.answer(problem(503, "too_slow", detail, {"Retry-After": "10"}))
        except Exception:
            if exchange.status:
                raise  # half an answer is out; closing the connection tells the client
            # The trace goes to the log with the request's id; the client learns the id only.
            _LOG.exception("request %s failed", exchange.id)
            detail = f"this is a fault of the {self.around.name}; report it with the number {exchange.id}"
            await exchange.answer(problem(500, "internal", detail))


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, https: bool) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = Headers(scope=scope)
        self.id = secrets.token_hex(8)
        self.state: MutableMapping[str, Any] = scope.setdefault("state", {})
        self.state["request_id"] = self.id
        self.started = time.perf_counter()
        self.status = 0
        self.sent = 0
        self.limit = 0
        self.on_start: Any = None
        self._receive, self._send, self._https = receive, send, https
        self._received = 0
        self._whole = False

    async def receive(self) -> Message:
        """Take a part of the request, within the limits of size and silence."""
        if self._whole:
            return await self._receive()  # only a disconnect is left, and that may take its time
        try:
            async with asyncio.timeout(_SILENCE_S):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"nothing came for {_SILENCE_S:g} s; send the request again") from None
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._received > self.limit:
                raise HTTPException(413, _too_large_text(self.limit))
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer; the first one with our headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._add_headers(MutableHeaders(scope=message))
            if self.on_start is not None:
                self.on_start()
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)

    async def answer(self, response: ASGIApp) -> None:
        """Answer in place of the app."""
        self.on_start = None
        if (as_page := getattr(self.scope["app"].state, "as_page", None)) is not None:
            response = as_page(HTTPConnection(self.scope), response)
        await response(self.scope, self.receive, self.send)

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        page = headers.get("content-type", "").startswith("text/html")
        headers.setdefault("Content-Security-Policy", _PAGE_POLICY if page else _DATA_POLICY)
        if self._https:
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        headers["X-Request-Id"] = self.id
        for name, value in self.state.get("rate_limit", {}).items():
            headers[name] = value
        if "cache-control" not in headers and ("authorization" in self.headers or "cookie" in self.headers):
            headers["Cache-Control"] = "private, no-store"


class Compress:
    """Compress answers for everybody; never what holds somebody's secrets, where the length would tell of them.

    Args:
        app: What lies inside.
        free: Beginnings of paths that are left alone.
    """

    def __init__(self, app: ASGIApp, free: tuple[str, ...] = ()) -> None:
        self.app = app
        self._free = free
        self._gzip = GZipMiddleware(app, minimum_size=_GZIP_FROM_BYTES, compresslevel=5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        wanted = "accept-encoding" in headers and scope["method"] == "GET"
        personal = "authorization" in headers or "cookie" in headers
        if not wanted or personal or scope["path"].startswith(self._free):
            await self.app(scope, receive, send)
        else:
            await self._gzip(scope, receive, send)


def _too_large_text(limit: int) -> str:
    return f"the request is larger than {limit // MEGABYTE} MB"


def _too_large(limit: int) -> ASGIApp:
    return problem(413, "too_large", _too_large_text(limit), {"Connection": "close"})


def _template(scope: Scope) -> str:
    """Return the route's path with the names of parameters; paths of clients would make endless counters."""
    route = scope.get("route")
    path = str(getattr(route, "path_format", None) or getattr(route, "path", None) or "none")
    # An included router's route does not know where it was included.
    api = scope["path"].startswith(_API) and not path.startswith(_API) and path != "none"
    return f"{_API}{path}" if api else path


def _log(log: logging.Logger, exchange: _Exchange, seconds: float) -> None:
    """Write one line without query, headers or body: those may hold secrets."""
    if not log.isEnabledFor(logging.INFO):
        return
    who = exchange.state.get("principal")
    line = {
        "id": exchange.id,
        "method": exchange.method,
        "path": exchange.path[:500],
        "status": exchange.status or 499,
        "ms": round(seconds * 1000, 1),
        "bytes": exchange.sent,
        "address": address_of(HTTPConnection(exchange.scope)),
        "credential": getattr(who, "credential", ""),
    }
    log.info(json.dumps(line))

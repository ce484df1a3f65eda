"""One exchange over httpx: size and time are bounded, and httpx's errors become ours."""

import functools
import logging
import os
import ssl
import time
from contextlib import closing
from dataclasses import dataclass, field

import httpx

from dteg.connectors.http.config import HttpConfig
from dteg.connectors.http.guard import GuardedTransport, backend_in_use
from dteg.connectors.http.origin import without_query
from dteg.connectors.http.response import HttpResponse
from dteg.core.errors import ConnectorError, PermanentError, TransientError
from dteg.core.secrets import redact


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What goes out.

    Attributes:
        method: HTTP method.
        url: URL with its query, which may hold an API key.
        headers: Headers, which may hold credentials.
        content: Body.
        secrets: Values to mask in messages.
    """

    method: str
    url: httpx.URL = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    content: bytes | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


class _HideQuery(logging.Filter):
    """httpx logs each URL with its query, where an API key may stand."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                without_query(value) if isinstance(value, httpx.URL) else value for value in record.args
            )
        return True


logging.getLogger("httpx").addFilter(_HideQuery())


@functools.cache
def _tls_context(_cert_file: str | None, _cert_dir: str | None) -> ssl.SSLContext:
    """Return httpx's own context; reading the authorities takes 40 ms, so clients share it."""
    return httpx.create_ssl_context()


class Transport:
    """Sends requests over kept connections; follows no redirect."""

    def __init__(self, config: HttpConfig, component: str) -> None:
        """Open nothing yet."""
        self._config = config
        self._component = component
        self._client: httpx.Client | None = None
        # Known now, because requests may be sent in another thread.
        self._backend = backend_in_use()

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send once and read the whole answer, whatever its status.

        Raises:
            TransientError: No answer, or only a part of it.
            PermanentError: No valid certificate, too large an answer, or a request that HTTP cannot carry.
        """
        client = self._client = self._client or self._connect()
        try:
            outgoing = client.build_request(
                request.method, request.url, headers=request.headers, content=request.content
            )
            with closing(client.send(outgoing, stream=True)) as answer:
                body = self._read(answer, request)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise self._failure(error, request) from None
        return HttpResponse(
            request.method,
            str(request.url),
            answer.status_code,
            answer.headers,
            body,
            secrets=request.secrets,
        )

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        if self._client:
            self._client.close()
            self._client = None

    def _connect(self) -> httpx.Client:
        timeout = httpx.Timeout(self._config.read_timeout_s, connect=self._config.connect_timeout_s)
        headers = httpx.Headers({"User-Agent": "dteg", "Accept": "application/json"})
        headers.update(self._config.headers)
        trusted = _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        if self._backend is None:
            return httpx.Client(verify=trusted, timeout=timeout, headers=headers, follow_redirects=False)
        # Through no proxy of the environment: it would resolve names by itself.
        guarded = GuardedTransport(self._backend, trusted)
        return httpx.Client(
            transport=guarded, timeout=timeout, headers=headers, follow_redirects=False, trust_env=False
        )

    def _read(self, answer: httpx.Response, request: HttpRequest) -> bytes:
        deadline = time.monotonic() + self._config.request_timeout_s
        chunks, size = [], 0
        for chunk in answer.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._config.max_response_bytes:
                limit = self._config.max_response_bytes
                raise PermanentError(
                    f"{_place(request)}: the answer is longer than max_response_bytes ({limit}); ask for smaller pages",
                    component=self._component,
                )
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{_place(request)}: the answer took longer than request_timeout_s",
                    component=self._component,
                )
        return b"".join(chunks)

    def _failure(self, error: Exception, request: HttpRequest) -> ConnectorError:
        kind = type(error).__name__
        if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
            # The text of these repeats headers or URLs, which may be secret.
            message = f"{_place(request)}: HTTP cannot carry this request ({kind})"
            return PermanentError(message, component=self._component)
        text = f"{_place(request)}: {kind}: {redact(str(error), *request.secrets)}"
        if isinstance(error, httpx.ConnectError) and _is_certificate_problem(error):
            return PermanentError(text, component=self._component)
        return TransientError(text, component=self._component)


def _is_certificate_problem(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _place(request: HttpRequest) -> str:
    return redact(f"{request.method} {without_query(request.url)}", *request.secrets)

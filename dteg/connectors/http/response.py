"""An answer that was read whole, and what its status means."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from dteg.connectors.http.origin import without_query
from dteg.core.clock import utc_now
from dteg.core.errors import ConnectorError, InputError, PermanentError, TransientError
from dteg.core.secrets import redact

SNIPPET_CHARS = 200
# Secrets are masked before the text is cut, so that no half of one is left.
_REDACTED_BYTES = 65_536
_TRANSIENT_STATUSES = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer.

    Attributes:
        method: Method of the request.
        url: URL it came from, with its query.
        status: HTTP status.
        headers: Headers.
        body: Unpacked body.
        attempts: How often the request was sent until this answer came.
        secrets: Values to mask in messages.
    """

    method: str
    url: str = field(repr=False)
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)
    attempts: int = 1
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """Method and URL as they may stand in a message."""
        return redact(f"{self.method} {without_query(self.url)}", *self.secrets)

    def snippet(self) -> str:
        """Return the start of the body on one line, secrets masked."""
        text = self.body[:_REDACTED_BYTES].decode("utf-8", errors="replace")
        return " ".join(redact(text, *self.secrets).split())[:SNIPPET_CHARS]

    def json(self) -> Any:
        """Return the body as JSON; None if it is empty.

        Raises:
            InputError: It is not JSON.
        """
        if not self.body.strip():
            return None
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            kind = self.headers.get("content-type", "no content type")
            raise InputError(
                f"the answer is not JSON ({error}; {kind}); it starts with: {self.snippet()}",
                source=self.place,
            ) from None

    def failure(self, *, component: str = "", stream: str = "") -> ConnectorError:
        """Return the error that a status of 300 or more stands for."""
        message = f"{self.place} answered {self.status}: {self.snippet()}".rstrip(": ")
        if self.status in _TRANSIENT_STATUSES or self.status >= 500:
            wait_s = retry_after_s(self.headers.get("retry-after", ""), utc_now())
            return TransientError(message, component=component, stream=stream, retry_after_s=wait_s)
        return PermanentError(message, component=component, stream=stream)


def retry_after_s(value: str, now: datetime) -> float | None:
    """Return the wait that a Retry-After header asks for: seconds or an HTTP date; None if it is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - now).total_seconds())

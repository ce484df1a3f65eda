"""One HTTP request to a receiver."""

import asyncio
import ssl
import time
from dataclasses import dataclass

import httpcore

from dteg import __version__
from dteg.core.errors import DtegError
from registry.webhooks.addresses import GuardedBackend, Resolver, checked_url, resolve

TIMEOUT_S = 10.0
_MOST_READ = 64_000
_LONGEST_WAIT_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        status: HTTP status; None without an answer.
        ms: How long it took.
        error: Why it failed; "" if it did not.
        wait_s: How long the receiver asked to wait; 0 if it did not.
    """

    status: int | None
    ms: int
    error: str = ""
    wait_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the receiver has it."""
        return not self.error

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more, ever."""
        return self.status == 410


class Sender:
    """Sends requests; follows no redirect, uses no proxy and keeps no connection.

    Args:
        allow_private: Whether machines that are not of the internet may be called.
        resolver: Finds the addresses of a name.
    """

    def __init__(self, *, allow_private: bool, resolver: Resolver = resolve) -> None:
        self._allow_private = allow_private
        self._backend = GuardedBackend(allow_private=allow_private, resolver=resolver)
        self._tls: ssl.SSLContext | None = None

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Send a body and tell what came of it; never raises for what the other side does."""
        began = time.monotonic()
        status, wait_s, error = None, 0.0, ""
        try:
            checked_url(url, allow_private=self._allow_private)
            async with asyncio.timeout(TIMEOUT_S):
                status, wait_s = await self._post(url, headers, body)
        except TimeoutError:
            error = f"no answer within {TIMEOUT_S:g} s"
        except DtegError as refused:
            error = f"not called: {refused}"
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as failed:
            error = f"no answer: {type(failed).__name__}"
        else:
            if not 200 <= status < 300:
                error = f"the receiver answered {status}"
        return Outcome(status, int((time.monotonic() - began) * 1000), error, wait_s)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, float]:
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        sent = {**headers, "User-Agent": f"dteg-webhooks/{__version__}", "Content-Type": "application/json"}
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls, network_backend=self._backend, max_keepalive_connections=0
            ) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
        ):
            read = 0
            async for part in response.aiter_stream():
                read += len(part)
                if read > _MOST_READ:  # nobody reads it; a receiver shall not hold us
                    break
            found = {name.lower(): value for name, value in response.headers}
            return response.status, _wait_s(found.get(b"retry-after", b"").decode("latin-1"))


def _wait_s(text: str) -> float:
    return min(float(text), _LONGEST_WAIT_S) if text.isascii() and text.isdecimal() else 0.0

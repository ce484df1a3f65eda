"""A token bucket that keeps requests under the rate a server allows."""

import threading
import time
from collections.abc import Callable

from pydantic import Field

from dteg.core.config import ConfigModel


class RateLimit(ConfigModel):
    """How many requests may be sent."""

    requests_per_s: float = Field(gt=0, description="Requests per second in the long run.")
    burst: int = Field(1, ge=1, description="Requests that may be sent at once after a pause.")


class TokenBucket:
    """Lets `burst` requests pass at once and `requests_per_s` from then on; safe among threads."""

    def __init__(
        self,
        limit: RateLimit,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start with a full bucket."""
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(limit.burst)
        self._filled_at = clock()
        self._lock = threading.Lock()

    def acquire(self) -> None:
        """Take one token, waiting for it if there is none."""
        with self._lock:
            now = self._clock()
            gained = (now - self._filled_at) * self._limit.requests_per_s
            self._filled_at = now
            # A negative number of tokens is a queue: each who waits has taken his token already.
            self._tokens = min(float(self._limit.burst), self._tokens + gained) - 1
            wait_s = -self._tokens / self._limit.requests_per_s
        if wait_s > 0:
            self._sleep(wait_s)

"""How often one may ask: a bucket in each process against bursts, and a window in MongoDB that all processes share."""

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import Request
from pymongo.errors import DuplicateKeyError, PyMongoError

from dteg.webapp.addresses import address_of
from dteg.webapp.problems import LimitedError
from registry.access import Principal
from registry.rate_limits.buckets import Buckets
from registry.rate_limits.models import Usage
from registry.rate_limits.store import INDEXES, RateStore
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

WINDOW_S = 60
FREE_PATHS = ("/files/", "/simple/", "/static/")
FREE = frozenset({"/simple", "/healthz", "/readyz", "/metrics"})
# A worker tells the others after this share of the limit: they overshoot by at most that much each.
_SHARE = 40
_MOST_KEYS = 50_000
_SWEEP_EVERY_S = 300.0
# How long counting may hold up a request when the database is slow.
_PATIENCE_S = 1.0


@dataclass(slots=True)
class _Window:
    """What one key has used in one window.

    Attributes:
        number: Which window.
        known: What all workers had used when we last asked.
        since: What we have used since, not told yet.
    """

    number: int
    known: int = 0
    since: int = 0

    @property
    def used(self) -> int:
        return self.known + self.since


class RateLimits(Service):
    """Counts requests and refuses the ones that are too many."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = RateStore(self.database)
        self._buckets = Buckets(WINDOW_S)
        self._failures = Buckets(WINDOW_S)
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to delete what is over."""
        self._sweeping = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Stop deleting."""
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def admit(self, request: Request, who: Principal) -> None:
        """Count a request, and put the headers of its answer.

        Raises:
            LimitedError: It is one too many.
        """
        path: str = request.scope["path"]  # to parse the whole URL takes longer than the rest of this
        if path in FREE or path.startswith(FREE_PATHS):
            return
        key, limit = self._key(request, who)
        try:
            usage = await self.check(key, limit)
        except LimitedError:
            request.state.rate_limit = _headers(self._usage(key, limit))
            raise
        request.state.rate_limit = _headers(usage)

    async def failed(self, request: Request) -> None:
        """Count wrong credentials, by address.

        Raises:
            LimitedError: There were too many; otherwise somebody could try tokens without end.
        """
        wait = self._failures.take(address_of(request), self.settings.wrong_credentials_per_minute)
        if wait:
            raise LimitedError("too many wrong credentials from this address", retry_after_s=wait)

    async def check(self, key: str, limit: int = 0) -> Usage:
        """Count one request of `key`.

        Args:
            key: Who, such as `token:<id>`.
            limit: Requests per minute; 0 takes the setting.

        Raises:
            LimitedError: It is one too many; carries how long to wait.
        """
        limit = limit or self.settings.requests_per_minute
        wait = self._buckets.take(key, limit)
        if wait:
            raise LimitedError(_too_many(limit), retry_after_s=wait)
        window = self._window(key)
        window.since += 1
        if window.since >= max(1, limit // _SHARE):
            await self._tell(key, window)
        if window.used > limit:
            raise LimitedError(_too_many(limit), retry_after_s=self._reset_s())
        return self._usage(key, limit)

    def usage(self, request: Request, who: Principal) -> Usage:
        """Return what who asks has used."""
        return self._usage(*self._key(request, who))

    def _key(self, request: Request, who: Principal) -> tuple[str, int]:
        if not who.known:
            return f"address:{address_of(request)}", self.settings.requests_per_minute_unknown
        # Logins and sessions of one account share; each token counts for itself.
        own = who.credential if who.credential.startswith("token:") else f"user:{who.user_id}"
        return own, self.settings.requests_per_minute

    def _window(self, key: str) -> _Window:
        number = int(self.clock().timestamp()) // WINDOW_S
        window = self._windows.get(key)
        if window is None or window.number != number:
            window = self._windows[key] = _Window(number)
        self._windows.move_to_end(key)
        if len(self._windows) > _MOST_KEYS:
            self._windows.popitem(last=False)
        return window

    async def _tell(self, key: str, window: _Window) -> None:
        """Add what we counted to what all count; with the database down only our own bucket limits."""
        count, window.since = window.since, 0
        window.known += count
        expires_at = self.clock() + timedelta(seconds=2 * WINDOW_S)
        # DuplicateKeyError: two workers made the window at once; the count is told with the next.
        with contextlib.suppress(PyMongoError, TimeoutError, DuplicateKeyError):
            async with asyncio.timeout(_PATIENCE_S):
                total = await self._store.add(key, window.number, count, expires_at)
                window.known = max(window.known, total)

    def _usage(self, key: str, limit: int) -> Usage:
        used = min(self._window(key).used, limit)
        return Usage(
            limit=limit, used=used, remaining=min(limit - used, int(self._buckets.left(key, limit))),
            reset_s=self._reset_s(), window_s=WINDOW_S,
        )  # fmt: skip

    def _reset_s(self) -> int:
        return WINDOW_S - int(self.clock().timestamp()) % WINDOW_S

    async def _sweep(self) -> None:
        """Delete what has ended, here and in the collections of credentials."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            with contextlib.suppress(PyMongoError):
                await self._store.sweep(self.clock())
                await self.services.tokens.sweep()
                await self.services.accounts.sweep()


def _too_many(limit: int) -> str:
    return f"more than {limit} requests a minute: wait; GET /api/v1/usage shows what you use"


def _headers(usage: Usage) -> dict[str, str]:
    return {
        "RateLimit-Limit": str(usage.limit),
        "RateLimit-Remaining": str(usage.remaining),
        "RateLimit-Reset": str(usage.reset_s),
        "RateLimit-Policy": f"{usage.limit};w={usage.window_s}",
    }

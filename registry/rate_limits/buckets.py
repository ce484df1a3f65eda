"""Token buckets: how often somebody may ask, counted in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST_KEYS = 50_000


class Buckets:
    """One bucket per key, which holds `limit` requests and refills within `window_s`.

    Args:
        window_s: Seconds in which an empty bucket becomes full.
        monotonic: Where the time comes from, in seconds.
    """

    def __init__(self, window_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._monotonic = monotonic
        # Key -> (what is left, when that was counted); the oldest are forgotten, which refills them.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, limit: int) -> float:
        """Take one request out of a bucket; return 0, or the seconds until there is one."""
        left = self.left(key, limit)
        wait = (1 - left) * self._window_s / limit if left < 1 else 0.0
        self._buckets[key] = (left if wait else left - 1, self._monotonic())
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        return wait

    def left(self, key: str, limit: int) -> float:
        """Return how many requests a bucket holds now."""
        level, counted_at = self._buckets.get(key, (float(limit), 0.0))
        return min(float(limit), level + (self._monotonic() - counted_at) * limit / self._window_s)

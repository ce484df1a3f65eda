"""Whether this process can work, and what it has counted."""

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0)


class Health(Service):
    """Counters of one process, in the words of Prometheus."""

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._born = time.monotonic()
        self._running = 0
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._total_s = 0.0

    def begin(self) -> None:
        """Count a request that begins."""
        self._running += 1

    def end(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that ends.

        Args:
            method: HTTP method.
            route: Path of the route, with the names of parameters.
            status: HTTP status; 0 if the client left before.
            seconds: How long it took.
        """
        self._running -= 1
        self._requests[method if method in _METHODS else "other", route, status or 499] += 1
        self._total_s += seconds
        bound = next((bound for bound in BOUNDS_S if seconds <= bound), None)
        self._seconds["+Inf" if bound is None else f"{bound:g}"] += 1

    async def ready(self) -> bool:
        """Return whether reads and writes work."""
        return self.services.prepared and await self.database.answers()

    async def metrics(self) -> str:
        """Return the counters as Prometheus reads them; each worker has its own."""
        up = int(await self.ready())
        worker = f'worker="{os.getpid()}"'
        lines = [
            "# TYPE dteg_registry_up gauge",
            f"dteg_registry_up{{{worker}}} {up}",
            "# TYPE dteg_registry_uptime_seconds gauge",
            f"dteg_registry_uptime_seconds{{{worker}}} {time.monotonic() - self._born:.0f}",
            "# TYPE dteg_registry_requests_running gauge",
            f"dteg_registry_requests_running{{{worker}}} {self._running}",
            "# TYPE dteg_registry_requests_total counter",
        ]
        lines += [
            f'dteg_registry_requests_total{{{worker},method="{method}",route="{route}",status="{status}"}} {count}'
            for (method, route, status), count in sorted(self._requests.items())
        ]
        lines.append("# TYPE dteg_registry_request_seconds histogram")
        running = 0
        for bound in [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]:
            running += self._seconds[bound]
            lines.append(f'dteg_registry_request_seconds_bucket{{{worker},le="{bound}"}} {running}')
        lines.append(f"dteg_registry_request_seconds_sum{{{worker}}} {self._total_s:.6f}")
        lines.append(f"dteg_registry_request_seconds_count{{{worker}}} {running}")
        if up:
            lines.append("# TYPE dteg_registry_jobs gauge")
            counts = await self.services.jobs.counts()
            lines += [f'dteg_registry_jobs{{state="{state}"}} {count}' for state, count in counts.items()]
        return "\n".join(lines) + "\n"


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

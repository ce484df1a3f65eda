"""What the registry is meant to reach with two workers on two cores, generator included."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """One figure and its bound.

    Attributes:
        case: Name of the case.
        figure: Path of the figure in it, parts joined by `/`.
        bound: What is asked for.
        at_most: Whether less is better.
        text: What it is, for people.
        why: The measured reason, where it is missed.
    """

    case: str
    figure: str
    bound: float
    at_most: bool
    text: str
    why: str = ""

    def value(self, cases: dict[str, Any]) -> float | None:
        """Return the figure; None if it was not measured."""
        found: Any = cases.get(self.case, {}).get("figures")
        for part in self.figure.split("/"):
            found = found.get(part) if isinstance(found, dict) else None
        return None if found is None else float(found)

    def met(self, value: float) -> bool:
        """Return whether a value is good enough."""
        return value <= self.bound if self.at_most else value >= self.bound


TARGETS = (
    Target("index", "per_second", 4_000, False, "index pages a second"),
    Target("index", "wrong", 0, True, "wrong answers to them"),
    Target("unchanged", "per_second", 6_000, False, "index pages a second that the client has (304)"),
    Target("search", "per_second", 1_000, False, "searches a second"),
    Target("search", "p99_ms", 60, True, "search, p99 (ms)"),
    Target("search", "wrong", 0, True, "wrong answers to searches"),
    Target("mixed", "per_second", 594, False, "mixed load a second, of 600 sent"),
    Target("mixed", "errors_5xx", 0, True, "mixed: answers 5xx and broken connections"),
    Target("mixed", "wrong", 0, True, "mixed: answers with another status than expected"),
    Target("mixed", "index/p99_ms", 25, True, "mixed: index, p99 (ms)"),
    Target("mixed", "index unchanged/p99_ms", 25, True, "mixed: index unchanged, p99 (ms)"),
    Target("mixed", "download/first_byte_p99_ms", 50, True, "mixed: download, first byte, p99 (ms)"),
    Target("mixed", "search/p99_ms", 100, True, "mixed: search, p99 (ms)"),
    Target("mixed", "page/p99_ms", 150, True, "mixed: page, p99 (ms)"),
    Target("mixed", "publish/p99_ms", 500, True, "mixed: publish accepted, p99 (ms)"),
    Target("burst", "accepted", 20, False, "burst of 200: accepted, of 20 versions"),
    Target("burst", "accepted", 20, True, "burst of 200: accepted, no version twice"),
    Target("burst", "taken", 180, False, "burst of 200: refused because the version is taken"),
    Target("start", "start_s", 30, True, "start until the first search is answered (s)"),
    Target("start", "memory_max_mb", 400, True, "memory of a worker (MB)"),
    Target("memory", "growth_percent", 5, True, "memory of a worker, growth over the run (%)"),
    Target("gate", "slowest_s", 20, True, "all gates of the slowest first-party component (s)"),
    Target("gate", "not_passed", 0, True, "first-party components that do not pass them"),
    Target("install", "median_s", 3, True, "install with a warm cache (s)"),
    Target("golden", "ndcg_at_10", 0.9, False, "golden queries, nDCG@10"),
    Target("golden", "exact_first_percent", 100, False, "golden queries, exact name first (%)"),
)

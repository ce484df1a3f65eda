"""What dteg is meant to reach; asked for from a million rows on, where start-up no longer decides."""

from dataclasses import dataclass
from typing import Any

_CSV_WHY = (
    "COPY itself takes what psql's takes (12.5 s beside 11.7 and 12.9 s for 8.2M rows and the same columns); the rest is"
    " start-up, 0.45 s, and _loaded_at, a column that psql does not write here"
)
FROM_ROWS = 900_000
LARGE_ROWS = 5_000_000


@dataclass(frozen=True)
class Target:
    """The least ratio: share of the limit's speed, or times a peer takes what dteg takes.

    Attributes:
        case: Name of the case.
        dteg: Which way of dteg.
        beside: The limit or the peer.
        least: The ratio that is asked for.
        large: The ratio from `LARGE_ROWS` on, if it is another.
        why: The measured reason, where it is missed.
    """

    case: str
    dteg: str
    beside: str
    least: float
    large: float | None = None
    why: str = ""

    def at(self, rows: int) -> float | None:
        """Return what is asked for at so many rows, if anything."""
        if rows < FROM_ROWS:
            return None
        return self.large if self.large is not None and rows >= LARGE_ROWS else self.least


_CSV_DLT_WHY = "at 6M psql itself is 2.1 times as fast as dlt here: the server's own work is the limit"

TARGETS = (
    Target("copy", "dteg", "psql", 0.75, large=0.90),
    Target("copy", "dteg", "dlt", 5),
    Target("copy", "dteg", "sling", 5),
    Target("copy", "dteg", "pandas", 30),
    Target("copy", "dteg", "singer", 50),
    Target("copy", "dteg arrow", "psql", 0.35),
    Target("copy", "dteg arrow", "dlt", 2.5),
    Target("csv", "dteg typed", "psql", 0.95, why=_CSV_WHY),
    Target("csv", "dteg typed", "dlt", 2, why=_CSV_DLT_WHY),
    Target("csv", "dteg typed", "sling", 8, why="psql itself is 7 times as fast as Sling here"),
    Target("csv", "dteg inferred", "psql", 0.80, why=_CSV_WHY),
    Target("csv", "dteg inferred", "dlt", 1.7, why=_CSV_DLT_WHY),
    Target(
        "merge",
        "dteg",
        "psql",
        1 / 1.2,
        why="asked for at 5M rows; at 1M psql takes 0.35 s, start-up of dteg 0.2 s",
    ),
    Target("merge", "dteg", "dlt", 2),
    Target("parquet", "dteg", "adbc", 1 / 1.1),
    Target("parquet", "dteg", "connectorx", 1 / 1.1),
    Target("parquet", "dteg", "duckdb", 1 / 1.1),
    Target("parquet", "dteg", "dlt", 2),
)
RELAY_MB = 64
BATCHES_MB = 256
# Peak memory at six million rows, over that at one million.
GROWTH = 1.1
# (case, dteg's way) -> the measured reason for a missed target of memory.
_ARROW = "Python with Arrow takes 100 to 115 MB before the first row"
MEMORY_WHY: dict[tuple[str, str], str] = {
    ("copy", "dteg"): "66 MB at 1M, 64 MB at 6M in one run: imports take 58 MB",
    ("copy", "dteg arrow"): f"under its limit, but Sling, a Go program, takes less: {_ARROW}",
    ("csv", "dteg typed"): f"blocks are matched by Arrow: {_ARROW}",
    ("csv", "dteg inferred"): f"types are inferred with Arrow: {_ARROW}",
    ("parquet", "dteg"): f"under its limit, but connectorx takes less: {_ARROW}",
}


def least(rows: int, case: str, found: dict[str, Any]) -> float | None:
    """Return the ratio that is asked for, if any."""
    for target in TARGETS:
        if (target.case, target.dteg, target.beside) == (case, found["dteg"], found["other"]):
            return target.at(rows)
    return None


def most_mb(path: str) -> int:
    """Return the memory that a way of dteg may take."""
    return RELAY_MB if path.startswith("relay") else BATCHES_MB

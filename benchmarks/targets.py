"""What dteg is meant to reach; asked for from a million rows on, where start-up no longer decides."""

from typing import Any

FROM_ROWS = 900_000
LARGE_ROWS = 5_000_000

# (case, dteg's way, beside) -> the least ratio: share of the limit's speed, or times a peer takes what dteg takes.
RATIOS: dict[tuple[str, str, str], float] = {
    ("copy", "dteg", "psql"): 0.75,
    ("copy", "dteg", "dlt"): 5,
    ("copy", "dteg", "sling"): 5,
    ("copy", "dteg", "pandas"): 30,
    ("copy", "dteg", "singer"): 50,
    ("copy", "dteg arrow", "psql"): 0.35,
    ("copy", "dteg arrow", "dlt"): 2.5,
    ("csv", "dteg typed", "psql"): 0.95,
    ("csv", "dteg typed", "dlt"): 2,
    ("csv", "dteg typed", "sling"): 8,
    ("csv", "dteg inferred", "psql"): 0.80,
    ("csv", "dteg inferred", "dlt"): 1.7,
    ("merge", "dteg", "psql"): 1 / 1.2,
    ("merge", "dteg", "dlt"): 2,
    ("parquet", "dteg", "adbc"): 1 / 1.1,
    ("parquet", "dteg", "connectorx"): 1 / 1.1,
    ("parquet", "dteg", "duckdb"): 1 / 1.1,
    ("parquet", "dteg", "dlt"): 2,
}
LARGE = {("copy", "dteg", "psql"): 0.90}
RELAY_MB = 64
BATCHES_MB = 256


def least(rows: int, case: str, found: dict[str, Any]) -> float | None:
    """Return the ratio that is asked for, if any."""
    key = (case, found["dteg"], found["other"])
    if rows < FROM_ROWS:
        return None
    return LARGE.get(key, RATIOS.get(key)) if rows >= LARGE_ROWS else RATIOS.get(key)


def most_mb(path: str) -> int:
    """Return the memory that a way of dteg may take."""
    return RELAY_MB if path.startswith("relay") else BATCHES_MB

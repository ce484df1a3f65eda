"""The in-memory adapters keep the same contract as real systems, so tests of the engine may use them."""

from uuid import uuid4

import pytest

from dteg.testing.contract import contract_tests
from dteg.testing.memory import MemoryExtractor, MemoryLoader, MemoryStore

CURSOR_STREAM = {
    "types": {"id": "bigint", "seen_at": "timestamptz", "price": "numeric(8,2)"},
    "rows": [
        {"id": 1, "seen_at": "2026-01-01T00:00:00Z", "price": "1.50"},
        {"id": 2, "seen_at": "2026-01-02T00:00:00Z", "price": None},
        {"id": 3, "seen_at": "2026-01-02T00:00:00Z", "price": 3},
        {"id": 4, "seen_at": None, "price": 3},
        {"id": 5, "seen_at": "2026-01-03T00:00:00Z", "price": "bad"},
    ],
    "primary_key": ["id"],
    "cursor": "seen_at",
}
PLAIN_STREAM = {"types": {"name": "text"}, "rows": [{"name": "a"}, {"name": None}, {"name": "a"}]}

TestMemoryExtractor = contract_tests(
    MemoryExtractor,
    config={"streams": {"events": CURSOR_STREAM, "names": PLAIN_STREAM}},
    bad_config=[{"streams": {}}, {"batch_rows": 0}],
    packaged=False,
    lazy=("pytest", "psycopg"),
)


@pytest.fixture
def store_config():
    name = uuid4().hex
    yield {"store": name}
    MemoryStore.forget(name)


TestMemoryLoader = contract_tests(
    MemoryLoader,
    config="store_config",
    read_back=lambda config, table: MemoryStore.named(config.store).table(str(table)),
    packaged=False,
)

"""Fault tests: seeded, and sized by `DTEG_FAULTS` (unset: the short version of `make test`; full: `make faults`)."""

import os
import random

import pytest

FULL = os.environ.get("DTEG_FAULTS") == "full"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "faults":
            item.add_marker(pytest.mark.faults)


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("DTEG_SEED", "20260"))
    print(f"seed {seed} (DTEG_SEED)")
    return random.Random(seed)

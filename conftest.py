"""Fixtures for all tests, those beside the connectors included: an empty project and PostgreSQL."""

import gc
import signal
from collections.abc import Generator

import pytest

pytest_plugins = ["dteg.testing.fixtures", "dteg.testing.mongodb", "studio.fixtures"]

# A shell's background job starts with SIGINT ignored, and so would every program a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Long tests first: at the end one of them would keep one process busy while the others have nothing left.
_LONG_FIRST = ("tests/faults", "tests/e2e", "tests/integration", "components")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what is imported and collected, all of which stays to the end.

    Looking through it is a fifth of collecting, and most of each `gc.collect()` of a test.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(config.rootpath).as_posix()
        return next((number for number, folder in enumerate(_LONG_FIRST) if path.startswith(folder)), 99)

    items.sort(key=place)

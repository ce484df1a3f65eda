"""Unit tests do no I/O: sockets are blocked, and the folder gives the marker."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.unit)
            item.add_marker(pytest.mark.disable_socket)

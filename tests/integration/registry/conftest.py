"""A registry per test, on a server that all tests share."""

import pytest

from registry.testing import running_registry


@pytest.fixture
def registry(mongodb_url, tmp_path):
    """A running registry on a fresh database."""
    with running_registry(mongodb_url, tmp_path / "registry") as running:
        yield running

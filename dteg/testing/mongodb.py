"""A server that speaks MongoDB's protocol, for tests: `DTEG_MONGODB_URL` if it is set, else one of our own."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from dteg.core.document_server import document_server
from dteg.core.errors import EnvironmentProblemError

MONGODB_VARIABLE = "DTEG_MONGODB_URL"


@pytest.fixture(scope="session")
def mongodb_url() -> Iterator[str]:
    """URL of a server; tests take a database with a random name in it and drop it."""
    if url := os.environ.get(MONGODB_VARIABLE):
        yield url
        return
    with contextlib.ExitStack() as stack:
        try:
            # Standalone, as most people run MongoDB: no transactions, no change streams.
            server = stack.enter_context(document_server("--standalone"))
        except EnvironmentProblemError as error:
            pytest.skip(f"no MongoDB here: {error}")
        yield f"mongodb://{server.address}"

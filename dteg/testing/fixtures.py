"""Pytest fixtures for connectors: `pytest_plugins = ["dteg.testing.fixtures"]` in the top conftest."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dteg.connectors.base import Context
from dteg.core.errors import EnvironmentProblemError
from dteg.testing.mariadb import MariadbServer, mariadb_database, mariadb_process, mariadb_server
from dteg.testing.postgres15 import TcpPostgres, debian_postgres, tcp_postgres
from dteg.testing.samples import make_context
from dteg.testing.servers import database, embedded_postgres, empty

TEST_SERVER_VARIABLE = "DTEG_TEST_POSTGRES_URL"
TEST_MARIADB_VARIABLE = "DTEG_TEST_MARIADB_URL"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker of the contract suite known."""
    config.addinivalue_line("markers", "contract: the suite that every connector owes")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A context whose project is an empty folder."""
    return make_context(tmp_path)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server: the one in `DTEG_TEST_POSTGRES_URL`, else an embedded one for this session."""
    if url := os.environ.get(TEST_SERVER_VARIABLE):
        yield url
        return
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(embedded_postgres())
        except EnvironmentProblemError as error:
            pytest.skip(f"no PostgreSQL here: {error}")
        yield url


@pytest.fixture(scope="session")
def _postgres_database(postgres_server: str) -> Iterator[str]:
    with database(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_url(_postgres_database: str) -> Iterator[str]:
    """URL of an empty database; whatever the test leaves in it is dropped."""
    yield _postgres_database
    empty(_postgres_database)


@pytest.fixture(scope="session")
def mariadb_server_url() -> Iterator[str]:
    """URL of a MariaDB or MySQL superuser: the one in `DTEG_TEST_MARIADB_URL`, else of a server for this session."""
    if url := os.environ.get(TEST_MARIADB_VARIABLE):
        yield url
        return
    with contextlib.ExitStack() as stack:
        try:
            url = stack.enter_context(mariadb_server())
        except EnvironmentProblemError as error:
            pytest.skip(f"no MariaDB here: {error}")
        yield url


@pytest.fixture
def mariadb_url(mariadb_server_url: str) -> Iterator[str]:
    """URL of an empty database of MariaDB, which is dropped after the test."""
    with mariadb_database(mariadb_server_url) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_own_server() -> Iterator[MariadbServer]:
    """A MariaDB server that a test may stop, start and freeze: nobody else's."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(mariadb_process())
        except EnvironmentProblemError as error:
            pytest.skip(f"no MariaDB here: {error}")
        yield server


@pytest.fixture(scope="session")
def postgres_tcp() -> Iterator[TcpPostgres]:
    """A PostgreSQL server on 127.0.0.1 that asks for a password, and that a test may stop, start and freeze."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(tcp_postgres())
        except EnvironmentProblemError as error:
            pytest.skip(f"no PostgreSQL here: {error}")
        yield server


@pytest.fixture
def postgres_tcp_database(postgres_tcp: TcpPostgres) -> Iterator[str]:
    """URL of a fresh database of `postgres_tcp`."""
    with database(postgres_tcp.url) as url:
        yield url


@pytest.fixture(scope="session")
def debian_hub() -> Iterator[str]:
    """URL of the superuser of Debian's PostgreSQL 15, which has mysql_fdw and tds_fdw."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(debian_postgres())
        except EnvironmentProblemError as error:
            pytest.skip(f"NO FOREIGN DATA WRAPPERS ARE TESTED: {error}")
        yield server.url


@pytest.fixture
def debian_hub_database(debian_hub: str) -> Iterator[str]:
    """URL of a fresh database of `debian_hub`."""
    with database(debian_hub) as url:
        yield url

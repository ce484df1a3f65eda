"""Servers and databases that live as long as a test."""

import atexit
import contextlib
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit


def fresh_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def embedded_postgres() -> Iterator[str]:
    """Start an own PostgreSQL server and yield its URL; stop it and delete its data at the end.

    Raises:
        EnvironmentProblemError: The embedded server cannot run here.
    """
    from dteg.core.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="dteg-") as folder:
        server = EmbeddedPostgres.at(Path(folder))
        atexit.register(server.remove)
        try:
            yield server.start()
        finally:
            server.remove()
            atexit.unregister(server.remove)


@contextlib.contextmanager
def database(server_url: str, *, template: str = "template1") -> Iterator[str]:
    """Make an empty database with a random name on a server, yield its URL, and drop it.

    Args:
        server_url: URL of any database of the server, as a user who may create databases.
        template: Database it is copied from.
    """
    import psycopg
    from psycopg import sql

    name = f"test_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    query = f"?{parts.query}" if parts.query else ""
    with psycopg.connect(server_url, autocommit=True) as admin:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield f"{parts.scheme}://{parts.netloc}/{name}{query}"
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

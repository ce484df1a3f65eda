"""Servers and databases that live as long as a test."""

import atexit
import contextlib
import random
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

_GIVEN_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def fresh_port() -> int:
    """Return a TCP port of 127.0.0.1 that was free a moment ago.

    It lies below those that the system gives to who asks for any: another program could get that one before our
    server has started.
    """
    with contextlib.suppress(OSError, ValueError):
        low = int(_GIVEN_OUT.read_text().split()[0])
        for port in random.SystemRandom().sample(range(low - 10_000, low), 100):
            with contextlib.suppress(OSError, OverflowError), socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
                return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def embedded_postgres() -> Iterator[str]:
    """Start an own PostgreSQL server and yield its URL; stop it and delete its data at the end.

    It does not wait for the disk, which makes databases for single tests several times faster. The
    death of a process loses nothing all the same; only that of the machine would.

    Raises:
        EnvironmentProblemError: The embedded server cannot run here.
    """
    from dteg.core.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="dteg-") as folder:
        server = EmbeddedPostgres.at(Path(folder))
        atexit.register(server.remove)
        try:
            url = server.start()
            _hurry(url)
            yield url
        finally:
            server.remove()
            atexit.unregister(server.remove)


def _hurry(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


def empty(url: str) -> None:
    """End all other sessions of a database and drop everything in it: ten times faster than a new database."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for kind, query in _DROPPED.items():
            for (name,) in connection.execute(query.encode()).fetchall():
                drop = sql.SQL("DROP {} {} CASCADE").format(sql.SQL(kind), sql.Identifier(name))
                connection.execute(drop)
        connection.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(database))
        connection.execute(
            "CREATE SCHEMA public AUTHORIZATION pg_database_owner; GRANT USAGE ON SCHEMA public TO public"
        )


_DROPPED = {
    "EVENT TRIGGER": "SELECT evtname FROM pg_event_trigger",
    "PUBLICATION": "SELECT pubname FROM pg_publication",
    "EXTENSION": "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql'",
    "FOREIGN DATA WRAPPER": "SELECT fdwname FROM pg_foreign_data_wrapper",
    "SCHEMA": "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
}


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

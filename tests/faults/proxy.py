"""A TCP port in front of a PostgreSQL server, where a test decides what gets through."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict


class Link:
    """One connection through the proxy; `to_server` and `to_client` carry on what came from the other side."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.answered = 0
        """Bytes that the server has sent."""
        self.sent = b""
        """The last few bytes that the client has sent."""
        self.is_copying = False
        """Whether the client has asked for a COPY TO STDOUT."""
        self.stopped = threading.Event()

    def to_server(self, data: bytes) -> None:
        self.server.sendall(data)

    def to_client(self, data: bytes) -> None:
        self.client.sendall(data)

    def cut_client(self) -> None:
        """Let the client's end vanish; the server keeps its end."""
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)
        self.client.close()

    def cut(self) -> None:
        """Let both ends vanish."""
        self.cut_client()
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


class Rules:
    """What gets through: everything. Override what should not."""

    def from_client(self, link: Link, data: bytes) -> None:
        link.to_server(data)

    def from_server(self, link: Link, data: bytes) -> None:
        link.to_client(data)


class Proxy:
    """Listens on a port of 127.0.0.1 until it is closed."""

    def __init__(self, server_url: str, rules: Rules) -> None:
        self.rules = rules
        parameters = conninfo_to_dict(server_url)
        self._host, self._port = str(parameters.get("host", "localhost")), str(parameters.get("port", "5432"))
        self._user, self._database = str(parameters.get("user", "postgres")), str(parameters["dbname"])
        self._password = parameters.get("password")
        self._links: list[Link] = []
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """URL of the server's database through this proxy; without the password, see `give_password`."""
        port = self._listener.getsockname()[1]
        return f"postgresql://{quote(self._user)}@127.0.0.1:{port}/{quote(self._database)}"

    @property
    def links(self) -> int:
        """Connections that were made so far."""
        return len(self._links)

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        for link in self._links:
            link.stopped.set()
            link.cut()

    def give_password(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the server's password, if it has one, where clients look for it."""
        if self._password:
            monkeypatch.setenv("PGPASSWORD", str(self._password))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = self._connect()
                except OSError:  # the server is away: so is the proxy's answer
                    client.close()
                    continue
                link = Link(client, server)
                self._links.append(link)
                self._spawn(lambda link=link: self._pump(link, link.client, self._up))
                self._spawn(lambda link=link: self._pump(link, link.server, self._down))

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, int(self._port)))
        server = socket.socket(socket.AF_UNIX)
        server.connect(os.path.join(self._host, f".s.PGSQL.{self._port}"))  # noqa: PTH118 - a socket's address
        return server

    def _up(self, link: Link, data: bytes) -> None:
        if b"COPY " in data and b"TO STDOUT" in data.upper():
            link.is_copying = True
        link.sent = data[-(1 << 12) :]
        self.rules.from_client(link, data)

    def _down(self, link: Link, data: bytes) -> None:
        link.answered += len(data)
        self.rules.from_server(link, data)

    @staticmethod
    def _pump(link: Link, source: socket.socket, carry: Callable[[Link, bytes], None]) -> None:
        """Carry on what comes from one end; an end that closes closes the other one too."""
        try:
            while data := source.recv(1 << 16):
                carry(link, data)
        except (OSError, ValueError):
            pass
        if source is link.client and not link.stopped.is_set():
            link.cut()
        elif source is link.server:
            link.cut_client()

    @staticmethod
    def _spawn(target: Callable[[], None]) -> None:
        threading.Thread(target=target, daemon=True, name="proxy").start()


@contextlib.contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Fail when the block takes longer."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took <= seconds, f"{what} took {took:.1f} s, more than {seconds:g} s"

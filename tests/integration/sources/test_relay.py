"""The relay by itself: bytes pass, silence is asked about, deadlines are kept, and strangers are not obeyed."""

import contextlib
import json
import socket
import threading
import time

import pytest

from dteg.core.processes import registered
from dteg.core.project import Project
from dteg.sources.relay import STATE_FILE
from dteg.sources.relaying import Relaying

pytestmark = pytest.mark.integration


class Server:
    """Speaks first like MySQL, then sends back what it gets; or is silent, if it is told to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.greets, self.answers = threading.Event(), threading.Event()
        self.greets.set()
        self.answers.set()
        self.kept = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.kept.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self.greets.is_set():
                client.sendall(b"hello")
            while data := client.recv(1 << 16):
                if self.answers.is_set():
                    client.sendall(data)
        except OSError:
            pass

    def close(self) -> None:
        self.listener.close()
        for each in self.kept:
            each.close()


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


@pytest.fixture
def relaying(tmp_path):
    (tmp_path / "pipelines").mkdir()
    one = Relaying(Project(tmp_path))
    yield one
    one.stop()


def opened(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    assert client.recv(5) == b"hello"
    return client


def wait_until_closed(client):
    began = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""
    return time.monotonic() - began


def test_bytes_pass_in_both_directions(relaying, server):
    port = relaying.route("shop", "mysql", "127.0.0.1", server.port, silence_s=5)
    data = bytes(range(256)) * 20_000
    with opened(port) as client:
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        got = bytearray()
        while len(got) < len(data):
            got += client.recv(1 << 16)
        sender.join()
    assert bytes(got) == data
    deadline = time.monotonic() + 60
    while relaying.status()["shop"]["connections"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert relaying.status() == {"shop": {"port": port, "connections": 0}}


def test_a_slow_server_that_lives_is_waited_for_and_a_dead_one_is_not(relaying, server):
    port = relaying.route("shop", "mysql", "127.0.0.1", server.port, silence_s=1)
    with opened(port) as client:
        server.answers.clear()
        client.sendall(b"a long query")
        client.settimeout(2.5)
        with pytest.raises(TimeoutError):  # it greets others, so it lives
            client.recv(1)
        server.greets.clear()
        client.settimeout(60)
        assert wait_until_closed(client) < 50


def test_a_deadline_ends_what_hangs_and_nothing_else(relaying, server):
    shop = relaying.route("shop", "mysql", "127.0.0.1", server.port, silence_s=60)
    other = relaying.route("other", "mysql", "127.0.0.1", server.port, silence_s=60)
    with opened(shop) as before, opened(other) as elsewhere:
        began = time.monotonic()
        with relaying.deadline(["shop"], 2.0), opened(shop) as client:
            server.answers.clear()
            client.sendall(b"?")
            wait_until_closed(client)
            assert 1.9 < time.monotonic() - began < 50
        server.answers.set()
        for each in (before, elsewhere):
            each.sendall(b"still here")
            assert each.recv(10) == b"still here"


def test_a_deadline_that_was_kept_ends_nothing(relaying, server):
    port = relaying.route("shop", "mysql", "127.0.0.1", server.port, silence_s=60)
    with relaying.deadline(["shop"], 2):
        client = opened(port)
    time.sleep(2.5)
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    client.close()


def test_who_has_not_the_token_is_not_obeyed(relaying, server):
    port = relaying.route("shop", "mysql", "127.0.0.1", server.port, silence_s=60)
    path = relaying._project.state_dir / STATE_FILE
    assert path.stat().st_mode & 0o077 == 0
    control = json.loads(path.read_text())["port"]
    for asked in ({"do": "stop"}, {"token": "x", "do": "drop", "slug": "shop"}, ["nonsense"]):
        with socket.create_connection(("127.0.0.1", control), timeout=60) as client:
            client.sendall(json.dumps(asked).encode() + b"\n")
            assert client.recv(1) == b""
    assert relaying.status()["shop"]["port"] == port


def test_it_is_one_process_that_stop_knows(relaying, server):
    ports = set()
    threads = [
        threading.Thread(
            target=lambda: ports.add(relaying.route("shop", "mysql", "127.0.0.1", server.port, silence_s=5))
        )
        for _ in range(5)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(ports) == 1
    assert [each.name for each in registered(relaying._project)] == ["relay"]
    relaying.stop()
    assert registered(relaying._project) == []
    assert not (relaying._project.state_dir / STATE_FILE).exists()


def test_a_server_that_is_not_there_is_refused_at_once(relaying):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    port = relaying.route("shop", "mysql", "127.0.0.1", closed, silence_s=60)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        wait_until_closed(client)
    assert time.monotonic() - began < 50

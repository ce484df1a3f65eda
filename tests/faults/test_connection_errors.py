"""Which failures to connect are tried again: those that go away by themselves, and no others.

How the test was seen to fail: with `_hopeless` saying no to everything, each refusal takes all attempts.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dteg.core.errors import PermanentError, TransientError
from dteg.core.project import Project
from dteg.pipelines.plan import load_pipeline
from dteg.pipelines.runner import new_run_id, run_pipeline
from dteg.testing.servers import fresh_port
from tests.faults.loads import write_pipeline, write_source
from tests.faults.test_target_hangs import Attempts

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Refusing:
    """A server that answers each attempt to connect with one error."""

    def __init__(self, state: str, message: str) -> None:
        fields = f"SFATAL\0VFATAL\0C{state}\0M{message}\0\0".encode()
        self._answer = b"E" + struct.pack("!I", len(fields) + 4) + fields
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"postgresql://loader@127.0.0.1:{self._listener.getsockname()[1]}/shop"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                client, _ = self._listener.accept()
                with client:
                    while True:
                        size, code = struct.unpack("!II", client.recv(8, socket.MSG_WAITALL))
                        client.recv(size - 8)
                        if code not in (SSL_REQUEST, GSS_REQUEST):
                            break
                        client.sendall(b"N")
                    client.sendall(self._answer)
        except (OSError, struct.error):
            pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Refusing]:
    refusing = Refusing(*request.param)
    yield refusing
    refusing.close()


def failed_attempts(folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> int:
    """Return how often the load was tried again before it failed with `error`."""
    monkeypatch.setenv("DTEG_POSTGRES_URL", url)
    write_source(folder / "source.csv", 10, version=0)
    pipeline = write_pipeline(folder, "append", top="retry: {max_attempts: 3, base_delay_s: 0.05}")
    attempts = Attempts()
    with pytest.raises(error):
        run_pipeline(load_pipeline(pipeline, Project(folder)), run_id=new_run_id(), listener=attempts)
    return len(attempts.errors)


REFUSALS = [
    ("28P01", 'password authentication failed for user "loader"'),
    ("28000", 'role "loader" does not exist'),
    ("28000", 'role "loader" is not permitted to log in'),
    ("28000", 'no pg_hba.conf entry for host "10.0.0.1", user "loader", database "shop", no encryption'),
    ("3D000", 'database "shop" does not exist'),
    ("42501", 'permission denied for database "shop"'),
]


@pytest.mark.parametrize("server", REFUSALS, indirect=True, ids=[message[:24] for _, message in REFUSALS])
def test_a_refusal_is_final(server: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed_attempts(tmp_path, server.url, monkeypatch, PermanentError) == 0


def test_an_unknown_host_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://loader@nowhere.invalid/shop"
    assert failed_attempts(tmp_path, url, monkeypatch, PermanentError) == 0


PASSING = [
    ("57P03", "the database system is starting up"),
    ("57P03", "the database system is in recovery mode"),
    ("53300", "sorry, too many clients already"),
]


@pytest.mark.parametrize("server", PASSING, indirect=True, ids=[message[:30] for _, message in PASSING])
def test_what_goes_away_is_tried_again(
    server: Refusing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failed_attempts(tmp_path, server.url, monkeypatch, TransientError) == 2


def test_a_server_that_is_away_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://loader@127.0.0.1:{fresh_port()}/shop"
    assert failed_attempts(tmp_path, url, monkeypatch, TransientError) == 2

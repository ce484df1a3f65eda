"""A NATS server that lives as long as a test."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dteg.core.errors import EnvironmentProblemError
from dteg.testing.servers import fresh_port

_START_S = 60.0


@contextlib.contextmanager
def nats_server() -> Iterator[str]:
    """Start a NATS server with JetStream on 127.0.0.1 and yield its URL; stop it and delete its data at the end.

    Raises:
        EnvironmentProblemError: The program is not installed, or does not start.
    """
    # Servers lie where an ordinary user's PATH does not look.
    program = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin")
    if program is None:
        raise EnvironmentProblemError(
            "there is no nats-server here; on Debian: sudo apt-get install nats-server"
        )
    port = fresh_port()
    with tempfile.TemporaryDirectory(prefix="dteg-nats-") as folder:
        log = Path(folder) / "log"
        process = subprocess.Popen(
            [program, "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", folder, "-l", str(log)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait(process, port, log)
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
            probe.settimeout(1)
            if probe.recv(4) == b"INFO":
                return
        time.sleep(0.02)
    told = log.read_text(errors="replace")[-500:] if log.exists() else ""
    raise EnvironmentProblemError(f"nats-server does not start: {told}")

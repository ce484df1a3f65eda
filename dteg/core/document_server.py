"""A server that speaks MongoDB's protocol, for tests and for a registry on one machine.

It is not MongoDB: a beta under another licence, which lives in an environment of its own and is only ever started as a
program (`.ci/bootstrap mongodb`). A registry that others depend on runs on a real MongoDB.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dteg.core.errors import EnvironmentProblemError

PROGRAM = "secantusd-py"
PROGRAM_VARIABLE = "DTEG_SECANTUSD"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
_PR_SET_PDEATHSIG = 1


def find_program() -> Path:
    """Return the server's program.

    Looked for at `DTEG_SECANTUSD`, beside this Python, and in `.dteg/mongodb` of the current folder and of the checkout.

    Raises:
        EnvironmentProblemError: It is nowhere; the message says how to get it.
    """
    if given := os.environ.get(PROGRAM_VARIABLE):
        if os.access(given, os.X_OK):
            return Path(given)
        raise EnvironmentProblemError(f"{PROGRAM_VARIABLE}={given} is not a program")
    checkout = Path(__file__).parents[2]
    for folder in (
        Path(sys.executable).parent,
        *(root / ".dteg" / "mongodb" / "bin" for root in (Path.cwd(), checkout)),
    ):
        if os.access(folder / PROGRAM, os.X_OK):
            return folder / PROGRAM
    raise EnvironmentProblemError(
        f"no {PROGRAM} on this machine; in a checkout run: .ci/bootstrap mongodb; elsewhere install secantusdb into an "
        f"environment of its own and set {PROGRAM_VARIABLE}, or set DTEG_MONGODB_URL to a MongoDB of yours"
    )


class DocumentServer:
    """One server on the loopback interface, a child of this process that ends with it.

    Args:
        data_dir: Folder of its data, made readable by its owner only.
        port: Port of 127.0.0.1; 0 takes a free one.
        auth: Whether clients must log in.
        durable: Whether a commit waits for the disk.
        options: More options of the program, such as `--standalone`.

    Raises:
        EnvironmentProblemError: The program is not installed.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        auth: bool = False,
        durable: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:
        self.data_dir = data_dir
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        self._program = find_program()
        self._port, self._auth, self._durable, self._options = port, auth, durable, options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """`host:port` while it runs."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it takes connections.

        Raises:
            EnvironmentProblemError: It does not; with the end of its log.
        """
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = self.port or self._port or _fresh_port()
        command = [
            str(self._program), "--host", "127.0.0.1", "--port", str(self.port), "--storage-path", str(self.data_dir),
            "--log-level", "WARNING", "--cache-size", "256M", *self._options,
        ]  # fmt: skip
        command += ["--auth"] * self._auth + ["--sync-on-commit"] * self._durable
        with self.log.open("ab") as output:
            os.fchmod(output.fileno(), 0o600)
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.data_dir,
                # No settings of this user's home, and no path of this Python's.
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.data_dir), "LC_ALL": "C.UTF-8"},
                start_new_session=True,  # Ctrl-C is for us; we stop it when nobody writes any more
                preexec_fn=dies_with_parent(),  # noqa: PLW1509 - one library call, looked up before the fork
            )  # fmt: skip
        self._wait()

    def stop(self) -> None:
        """Ask it to end, wait, then kill."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """End it without warning, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.running() and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        end = self.log.read_text(encoding="utf-8", errors="replace")[-1500:]
        self.stop()
        raise EnvironmentProblemError(
            f"the document server does not start; its log {self.log} ends with: {end}"
        )


@contextlib.contextmanager
def document_server(*options: str) -> Iterator[DocumentServer]:
    """Run a server on fresh data, which are deleted at the end.

    Raises:
        EnvironmentProblemError: It is not installed, or does not start.
    """
    with tempfile.TemporaryDirectory(prefix="dteg-mongodb-", ignore_cleanup_errors=True) as folder:
        server = DocumentServer(Path(folder) / "data", options=options)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _fresh_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dies_with_parent() -> Callable[[], None] | None:
    """Return what a child calls so that the kernel ends it when its parent is killed; None where that is not possible."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask

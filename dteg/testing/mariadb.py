"""A MariaDB server that lives as long as a test: own data, own port of 127.0.0.1, never as root."""

import atexit
import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dteg.core.errors import EnvironmentProblemError
from dteg.testing.servers import fresh_port

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
# The server refuses to run as root: then as the user of Debian's package, if it is installed whole.
SYSTEM_USERS = ("mysql", "nobody")
# Debian puts the server where an ordinary user's PATH does not look.
_ELSEWHERE = os.pathsep.join(
    ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/opt/homebrew/opt/mariadb/bin"]
)

# What a data folder needs of the files beside the program; help texts and the schema `sys` take most of the time that
# `mariadb-install-db` takes, and no test reads them. Newer releases have other names.
_SHARED = ("mysql", "mariadb")
_TABLES = ("{0}_system_tables.sql", "{0}_performance_tables.sql", "{0}_system_tables_data.sql")

# Small, and without waiting for the disk: nothing of it has to outlive the machine.
_SETTINGS = (
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=64M",
    "--innodb-doublewrite=0",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-log-file-size=32M",
    "--character-set-server=utf8mb4",
    "--skip-name-resolve",
    "--skip-log-bin",
)
# One statement a line; nobody gets in without the password.
_ACCOUNTS = """\
CREATE USER IF NOT EXISTS dteg@'127.0.0.1' IDENTIFIED BY '{password}';
GRANT ALL ON *.* TO dteg@'127.0.0.1' WITH GRANT OPTION;
DELETE FROM mysql.global_priv WHERE user NOT IN ('dteg', 'mariadb.sys');
FLUSH PRIVILEGES;
"""


@dataclass(slots=True)
class MariadbServer:
    """One server of a test, which can be stopped and brought back.

    Attributes:
        url: URL of its superuser.
        command: What starts it.
        log: What it writes.
    """

    url: str
    command: list[str]
    log: Path
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EnvironmentProblemError: It does not start; with the end of its log.
        """
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._process = process
        _wait_for(self.url, process, self.log)

    def stop(self) -> None:
        """Stop it; its data stays, and `start` brings it back."""
        if self._process is not None:
            _stop(self._process)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep it stopped for the block: connections are refused."""
        self.stop()
        try:
            yield
        finally:
            self.start()


@contextlib.contextmanager
def mariadb_server(*options: str) -> Iterator[str]:
    """Start an own MariaDB server and yield the URL of its superuser; stop it and delete its data at the end.

    Args:
        options: More options of the server, such as `--sql-mode=`.

    Raises:
        EnvironmentProblemError: MariaDB is not installed, or does not start; with the end of its log.
    """
    with mariadb_process(*options) as server:
        yield server.url


@contextlib.contextmanager
def mariadb_process(*options: str) -> Iterator[MariadbServer]:
    """Start an own MariaDB server like `mariadb_server` does, and yield it itself."""
    program = _program("mariadbd", "mysqld")
    with tempfile.TemporaryDirectory(prefix="dteg-mariadb-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        as_user = [f"--user={_hand_over(folder)}"] if os.geteuid() == 0 else []
        data, log, password, port = folder / "data", folder / "log", secrets.token_hex(16), fresh_port()
        # Not that of the system: a server that starts deletes the temporary tables of the others there.
        scratch = folder / "tmp"
        scratch.mkdir()
        if as_user:
            _hand_over(scratch)
        start = folder / "start.sql"
        start.write_text(_ACCOUNTS.format(password=password), encoding="ascii")
        start.chmod(0o644)  # read by the server's user, inside a folder that nobody else may enter
        _make_data(program, data, scratch, log, as_user)
        command = [
            program, "--no-defaults", f"--datadir={data}", f"--tmpdir={scratch}", f"--socket={folder / 'sock'}",
            f"--port={port}", f"--pid-file={folder / 'pid'}", f"--init-file={start}", *_SETTINGS, *as_user, *options,
        ]  # fmt: skip
        server = MariadbServer(f"mysql://dteg:{password}@127.0.0.1:{port}/mysql", command, log)
        atexit.register(server.stop)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            atexit.unregister(server.stop)


@contextlib.contextmanager
def mariadb_database(server_url: str) -> Iterator[str]:
    """Make an empty database with a random name on a MariaDB or MySQL server, yield its URL, and drop it."""
    import pymysql

    name = f"test_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    admin = pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or ""
    )
    with contextlib.closing(admin), admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield f"{parts.scheme}://{parts.netloc}/{name}"
        finally:
            # A transaction that a test left open would make the drop wait for it.
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()",
                [name],
            )
            for (number,) in cursor.fetchall():
                with contextlib.suppress(pymysql.err.OperationalError):  # it has ended by itself
                    cursor.execute(f"KILL {int(number)}")
            cursor.execute(f"DROP DATABASE {name}")


def _make_data(program: str, data: Path, scratch: Path, log: Path, as_user: list[str]) -> None:
    """Make a data folder with the system's tables."""
    statements = _system_tables(program)
    if statements:
        data.mkdir(mode=0o700)
        if as_user:
            _hand_over(data)
        command = [
            program, "--no-defaults", "--bootstrap", f"--datadir={data}", f"--tmpdir={scratch}", "--log-warnings=0",
            "--enforce-storage-engine=", "--max-allowed-packet=8M", *_SETTINGS[1:], *as_user,
        ]  # fmt: skip
    else:
        command = [
            _program("mariadb-install-db", "mysql_install_db"), "--no-defaults", f"--datadir={data}", "--skip-test-db",
            "--auth-root-authentication-method=normal", *as_user,
        ]  # fmt: skip
    with log.open("wb") as output:
        made = subprocess.run(
            command, input=statements, stdout=output, stderr=output, check=False,
            env={**os.environ, "TMPDIR": str(scratch)},
        )  # fmt: skip
    if made.returncode != 0:
        raise EnvironmentProblemError(f"MariaDB cannot make its data folder: {_end_of(log)}")


def _system_tables(program: str) -> bytes:
    """Return the statements that make the system's tables; none where the files are elsewhere or have other names."""
    share = Path(program).resolve().parent.parent / "share"
    for name in _SHARED:
        for folder in (share / each for each in _SHARED):
            files = [folder / each.format(name) for each in _TABLES]
            if all(file.is_file() for file in files):
                first = b"CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
                return first + b"".join(file.read_bytes() for file in files)
    return b""


def _program(*names: str) -> str:
    for name in names:
        path = shutil.which(name) or shutil.which(name, path=_ELSEWHERE)
        if path:
            return path
    raise EnvironmentProblemError(
        f"no {names[0]} on this machine; install it: sudo apt-get install mariadb-server-core"
    )


def _hand_over(folder: Path) -> str:
    """Give a folder to a user that is not root; return the user's name."""
    for name in SYSTEM_USERS:
        with contextlib.suppress(LookupError):
            shutil.chown(folder, name)
            return name
    raise EnvironmentProblemError(
        "MariaDB does not run as root, and there is no system user nobody; run as an ordinary user"
    )


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import pymysql

    parts = urlsplit(url)
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(pymysql.err.OperationalError):
            pymysql.connect(
                host=parts.hostname, port=parts.port or 0, user=parts.username, password=parts.password or ""
            ).close()
            return
        time.sleep(0.05)
    raise EnvironmentProblemError(f"MariaDB does not start: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-1500:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""An own PostgreSQL server for the measurement: on 127.0.0.1, because some peers know no unix sockets."""

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dteg.core.embedded import SETTINGS, SUPERUSER, EmbeddedPostgres
from dteg.testing.servers import fresh_port

# The project's settings, more memory, and no vacuum that starts in the middle of a case.
BENCH_SETTINGS = {
    **SETTINGS,
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "autovacuum": "off",
}


@dataclass(frozen=True)
class Server:
    """A running server with the databases `source` and `target`."""

    files: EmbeddedPostgres
    port: int
    password: str

    @property
    def psql(self) -> Path:
        """The client of the same version."""
        return self.files.bin_dir / "psql"

    def url(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def environment(self) -> dict[str, str]:
        """What every contestant finds in its environment."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self.password,
            "BENCH_SOURCE_URL": self.url("source"),
            "BENCH_TARGET_URL": self.url("target"),
            "DTEG_POSTGRES_URL": self.url("target"),
        }

    def execute(self, database: str, *statements: str) -> None:
        """Run statements, each on its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def row(self, database: str, query: str) -> tuple[object, ...]:
        """Return the first row of a query."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(query.encode()).fetchone()
        return found or ()


def _program(files: EmbeddedPostgres, *command: str) -> None:
    # A file instead of a pipe: the server inherits it and would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [str(files.bin_dir / command[0]), *command[1:]],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False, cwd="/",
            user=files.user, group=files.user, extra_groups=[] if files.user else None,
            start_new_session=True, env={**os.environ, "LC_ALL": "C", "HOME": str(files.data_dir.parent)},
        )  # fmt: skip
        output.seek(0)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {output.read()[-2000:]}")


def _initdb(files: EmbeddedPostgres, password: str) -> None:
    for folder in (files.data_dir, files.socket_dir):
        folder.mkdir(mode=0o700, parents=True)
        if files.user:
            shutil.chown(folder, files.user, files.user)
            folder.parent.chmod(0o755)
    secret = files.socket_dir / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if files.user:
        shutil.chown(secret, files.user, files.user)
    _program(
        files, "initdb", "-D", str(files.data_dir), "-U", SUPERUSER, "--auth=scram-sha-256",
        f"--pwfile={secret}", "--encoding=UTF8", "--no-locale", "--data-checksums",
    )  # fmt: skip
    secret.unlink()


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """Start the server; stop it and delete its data at the end."""
    with tempfile.TemporaryDirectory(prefix="dteg-bench-") as folder:
        files = EmbeddedPostgres.at(Path(folder))
        server = Server(files, fresh_port(), secrets.token_hex(12))
        options = [f"-c {name}={value}" for name, value in BENCH_SETTINGS.items() if value]
        options += [f"-k {files.socket_dir}", f"-p {server.port}"]
        try:
            _initdb(files, server.password)
            _program(
                files, "pg_ctl", "start", "-w", "-D", str(files.data_dir),
                "-l", str(files.data_dir / "server.log"), "-o", " ".join(options),
            )  # fmt: skip
            server.execute("postgres", "CREATE DATABASE source", "CREATE DATABASE target")
            yield server
        finally:
            files.remove()

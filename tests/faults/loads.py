"""What the fault tests share: a load in a process of its own, a fault in one of its phases, and a look at what is left."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from dteg.core.embedded import EmbeddedPostgres

CHILD = Path(__file__).parent / "child.py"
Fingerprint = tuple[int, int]
"""Rows of a table, and a checksum over what came from the source."""
# Longer than any load here takes with all its retries.
LOAD_TIMEOUT_S = 300


@dataclass
class Figures:
    """One line of the table at the end of `make faults`; filled in while the test runs.

    Attributes:
        case: What happened to the load.
        rows: Rows of the load.
        points: Faults.
        landed: Faults that hit the load in mid-work.
        lost: Rows missing afterwards, over all points.
        doubled: Rows that are there more than once.
        left_overs: Tables, or sessions of the server, that should not be there.
        note: Anything else worth knowing.
    """

    case: str
    rows: int = 0
    points: int = 0
    landed: int = 0
    lost: int = 0
    doubled: int = 0
    left_overs: int = 0
    note: str = ""

    def row(self) -> dict[str, object]:
        return asdict(self)

    def check(
        self, connection: psycopg.Connection, table: str, expected: Fingerprint, there: list[str], when: str
    ) -> None:
        """Compare a table and all relations with what they should be; count what is not so, and fail."""
        wait_until_alone(connection)
        left = set(relations(connection)) ^ set(there)
        self.left_overs += len(left)
        found = fingerprint(connection, table)
        if found != expected:
            distinct = connection.execute(
                f"SELECT count(DISTINCT (id, name, amount, updated_at)) FROM {table}"
            ).fetchone()
            assert distinct is not None
            self.lost += max(0, expected[0] - distinct[0])
            self.doubled += found[0] - distinct[0]
        assert found == expected, f"{table} is not what it should be {when}"
        assert not left, f"left over {when}: {sorted(left)}"


def write_source(path: Path, rows: int, version: int) -> None:
    """Write a CSV whose rows up to a tenth differ between versions; version 1 has a tenth more rows."""
    with path.open("w") as out:
        out.write("id,name,amount,updated_at\n")
        for number in range(rows + version * rows // 10):
            value = version if number % 10 == 0 else 0
            out.write(
                f"{number},name {number % 997},{number * 7 % 1000 + value}.50,2026-01-{number % 28 + 1:02d}T00:00:00Z\n"
            )


def write_pipeline(
    folder: Path, disposition: str, *, relayed: bool = False, settings: str = "", top: str = ""
) -> Path:
    """Write a pipeline from `source.csv`, or from table `s.source` of the warehouse.

    Args:
        folder: The project.
        disposition: How it writes.
        relayed: From the table.
        settings: More config of the loader, such as `idle_timeout_s: 1`.
        top: A line of the pipeline itself, such as `retry: {max_attempts: 2}`.
    """
    extract = (
        "{type: postgres, config: {table: s.source}}"
        if relayed
        else "{type: files, config: {path: source.csv}}"
    )
    key = ", primary_key: [id]" if disposition in ("merge", "scd2") else ""
    if relayed and disposition == "append":  # which a table without a position is refused
        key = ", cursor: id"
    config = ", ".join(filter(None, [f"table: t.{disposition}", settings]))
    path = folder / "pipelines" / f"{disposition}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"pipeline:\n  name: faulty_{disposition}\n{f'  {top}' if top else ''}\n  steps:\n"
        f"    - extract: {extract}\n"
        f"    - load: {{type: postgres, config: {{{config}}}, write: {disposition}{key}}}\n"
    )
    return path


def write_table(connection: psycopg.Connection, path: Path) -> None:
    """Make table `s.source` of a file."""
    connection.execute(
        "CREATE SCHEMA IF NOT EXISTS s; DROP TABLE IF EXISTS s.source;"
        "CREATE TABLE s.source (id bigint, name text, amount numeric, updated_at timestamptz)"
    )
    with connection.cursor().copy("COPY s.source FROM STDIN (FORMAT csv, HEADER)") as copy:
        copy.write(path.read_bytes())


def environment(folder: Path, url: str) -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "DTEG_HOME": str(folder), "DTEG_POSTGRES_URL": url, "PYTHONPATH": root}


def run_to_end(pipeline: Path, env: dict[str, str]) -> None:
    command = [sys.executable, CHILD, pipeline]
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, timeout=LOAD_TIMEOUT_S)


def strike_in(
    pipeline: Path,
    env: dict[str, str],
    phase: str,
    delay_s: float,
    fault: Callable[["subprocess.Popen[str]"], object],
    *,
    hold_s: float = 0,
) -> tuple[int, list[str]]:
    """Start a load, let `fault` happen `delay_s` after it entered `phase`, and wait for its end.

    Args:
        pipeline: What to load.
        env: Where.
        phase: One of those that child.py tells.
        delay_s: Wait this long in the phase.
        fault: Given the process of the load.
        hold_s: The load waits so long at the beginning of the phase; without it goes on meanwhile, so that
            faults also land inside of statements.

    Returns:
        The exit code, and all phases that the load told.
    """
    env = {**env, "DTEG_TEST_HOLD": phase if hold_s else "", "DTEG_TEST_HOLD_S": str(hold_s)}
    child = subprocess.Popen([sys.executable, CHILD, pipeline], env=env, stdout=subprocess.PIPE, text=True)
    limit = threading.Timer(LOAD_TIMEOUT_S, child.kill)
    limit.start()
    assert child.stdout is not None
    told = []
    with child, contextlib.closing(child.stdout):
        for line in child.stdout:
            told.append(line.strip())
            if told[-1] == phase:
                time.sleep(delay_s)
                break
        fault(child)
        told += child.stdout.read().split()
        code = child.wait()
    limit.cancel()
    return code, told


def restart(server: EmbeddedPostgres) -> float:
    """Let the server die and start it again; return how long it was away (seconds)."""
    started = time.monotonic()
    # The signal of `pg_ctl stop -m immediate`, without the time that pg_ctl takes to start.
    os.kill(int((server.data_dir / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
    server._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(server.data_dir), check=False)
    server.stop()  # forgets that it ran
    server.start()
    return time.monotonic() - started


def fingerprint(connection: psycopg.Connection, table: str) -> Fingerprint:
    row = connection.execute(
        "SELECT count(*), coalesce(sum(hash_record_extended(ROW(id, name, amount, updated_at), 0)), 0)"
        f" FROM {table}"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def relations(connection: psycopg.Connection) -> list[str]:
    """Return every table, staging ones and temporary ones included."""
    rows = connection.execute(
        "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class WHERE relkind = 'r' AND relpersistence <> 't'"
        " AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')"
        " UNION SELECT 'temporary: ' || relname FROM pg_class WHERE relpersistence = 't' ORDER BY 1"
    ).fetchall()
    return [name for (name,) in rows]


def wait_until_alone(connection: psycopg.Connection) -> None:
    """Wait until the server has noticed that the client of a load is gone."""
    deadline = time.monotonic() + 60
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    while connection.execute(others).fetchone() != (0,):
        assert time.monotonic() < deadline, "a session of an ended load is still there after 60 s"
        time.sleep(0.02)


class Snapshots:
    """Databases of one server, copied file by file: quicker than to load their tables again."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._names: list[str] = []
        self._admin = psycopg.connect(server_url, autocommit=True)

    def copy(self, url: str | None = None) -> str:
        """Return the URL of a new database like that of `url`, or an empty one. Nobody may be connected to that."""
        name = f"fault_{secrets.token_hex(6)}"
        template = urlsplit(url).path[1:] if url else "template0"
        how = "STRATEGY FILE_COPY" if self._admin.info.server_version >= 150_000 else ""
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} {how}")
        self._names.append(name)
        parts = urlsplit(self._server_url)
        return f"{parts.scheme}://{parts.netloc}/{name}{f'?{parts.query}' if parts.query else ''}"

    def drop(self, url: str) -> None:
        name = urlsplit(url).path[1:]
        self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._names.remove(name)

    def close(self) -> None:
        for name in self._names:
            self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._admin.close()


@contextlib.contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    """Connect, and disconnect so that the database can be copied or dropped."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection

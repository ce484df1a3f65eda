"""The disk of the target fills up in the middle of a load: a clear error, nothing changed, and the next run is good.

How the test was seen to fail: with a full disk taken for a transient error it is tried again.
"""

import dataclasses
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dteg.core import embedded
from dteg.core.embedded import EmbeddedPostgres
from dteg.core.errors import EnvironmentProblemError
from tests.faults.conftest import FULL
from tests.faults.loads import Figures, environment, fingerprint, relations, write_pipeline, write_source

ROWS = 150_000
DISK_MB = 256
POINTS = 10 if FULL else 1
# The server must not clean up by itself meanwhile: the next load would fit into the room of the one that failed.
SMALL = {"shared_buffers": "32MB", "max_wal_size": "64MB", "min_wal_size": "64MB", "autovacuum": "off"}


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of its own."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a small disk is made by mount -t tmpfs, as root")
    folder = Path(tempfile.mkdtemp(prefix="dteg-disk-"))  # which the server's own user can reach
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=755", "tmpfs", folder],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode != 0:
        folder.rmdir()
        pytest.skip(f"mount -t tmpfs does not work here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


@pytest.fixture
def server(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPostgres]:
    """A server whose data and WAL lie on the small disk."""
    for name, value in SMALL.items():
        monkeypatch.setitem(embedded.SETTINGS, name, value)
    disk.chmod(0o755)
    try:
        server = dataclasses.replace(
            EmbeddedPostgres.at(tmp_path / "server"), data_dir=disk / "db" / "pgdata"
        )
        server.start()
    except EnvironmentProblemError as error:
        pytest.skip(f"no PostgreSQL here: {error}")
    yield server
    server.remove()
    shutil.rmtree(server.socket_dir.parent, ignore_errors=True)


def dteg(pipeline: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from dteg.cli import main; main()", "run", pipeline]
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("disposition", ["append", "merge"])
@pytest.mark.timeout(900)
def test_a_full_disk_changes_nothing_and_the_next_run_is_good(
    *,
    disposition: str,
    disk: Path,
    server: EmbeddedPostgres,
    tmp_path: Path,
    rng: random.Random,
    figures: Callable[..., Figures],
) -> None:
    line = figures(f"disk full, {disposition}", rows=ROWS + ROWS // 10)
    env = environment(tmp_path, server.url())
    pipeline = write_pipeline(tmp_path, disposition)
    table, ballast = f"t.{disposition}", disk / "ballast"
    left: list[int] = []
    with psycopg.connect(server.url(), autocommit=True) as connection:
        write_source(tmp_path / "source.csv", 1000, version=0)
        assert dteg(pipeline, env).returncode == 0
        # WAL segments that are there already, so that the table is what finds no room.
        for _ in range(3):
            connection.execute("SELECT pg_switch_wal()")
        old, expected = fingerprint(connection, table), relations(connection)
        write_source(tmp_path / "source.csv", ROWS, version=1)
        for _ in range(POINTS):
            connection.execute("CHECKPOINT")
            free = shutil.disk_usage(disk).free
            left.append(rng.randrange(1 << 20, 8 << 20))
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, free - left[-1])
            done = dteg(pipeline, env)
            assert done.returncode == 1, done.stdout + done.stderr
            assert "No space left on device" in done.stdout + done.stderr
            assert "attempt 1 failed" not in done.stdout + done.stderr, "a full disk was tried again"
            assert "Traceback" not in done.stdout + done.stderr
            assert "PANIC" not in (server.data_dir / "server.log").read_text(), (
                "the WAL ran full, not the table"
            )
            line.points += 1
            line.landed += 1
            line.check(connection, table, old, expected, "after a full disk")
            ballast.unlink()
        done = dteg(pipeline, env)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = ROWS + ROWS // 10
        new = fingerprint(connection, table)
        assert new[0] == rows + (old[0] if disposition == "append" else 0)
    line.note = (
        f"{min(left) >> 20} to {max(left) >> 20} MiB left; each ended with exit code 1, the next run was good"
    )

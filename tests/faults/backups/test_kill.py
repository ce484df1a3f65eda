"""kill -9 of a backup or a restore at each of its steps: nothing half is ever listed, and what was there before still is.

How the test was seen to fail, in a copy of the tree: with `FileDraft` writing into the folder that has the backup's final
name and an empty manifest first, a backup is listed that cannot be read; with `clean` that finds nothing, leftovers stay;
with `temporary_database` giving the final name at once, a killed restore leaves half a database under it.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from dteg.backups.models import NewBackup, RestoreOrder
from dteg.backups.service import Backups
from dteg.core.project import Project
from tests.faults.conftest import FULL
from tests.faults.loads import Figures

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[3]
BACKUP_POINTS = 40 if FULL else 4
RESTORE_POINTS = 10 if FULL else 1


def run(step: int, *words: str) -> tuple[int, list[str]]:
    """Run a child; return its exit code and the steps it took."""
    command = [sys.executable, "-m", "tests.faults.backups.child", str(step), *words]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode, done.stdout.split("\n")[:-1]


def spread(steps: list[str], points: int) -> list[int]:
    """Return numbers of steps to be killed at, over the whole length; the last steps are where it matters most."""
    count = len(steps) - 1
    chosen = {1 + index * (count - 1) // max(points - 1, 1) for index in range(points)}
    published = steps.index("rename before") + 1 if "rename before" in steps else count
    return sorted({*chosen, published, min(published + 1, count)})


def test_a_killed_backup_leaves_no_half_one(
    project: Project, backups: Backups, items: str, figures: Callable[..., Figures]
) -> None:
    line = figures("kill -9, backup", rows=8000)
    folder = project.root / "backups"
    whole = [backups.create(NewBackup.model_validate({"database": items})).id]
    run(0, "create", items)  # makes the keys
    code, steps = run(0, "create", items)
    assert (code, steps[-1]) == (0, "done")
    whole = [each.id for each in backups.rebuild("")]
    for step in spread(steps, BACKUP_POINTS):
        code, taken = run(step, "create", items)
        line.points += 1
        line.landed += code == -9
        found = {each.id for each in backups.rebuild("")}
        assert set(whole) <= found, f"a backup was lost by a kill at {taken[-1]}"
        new = found - set(whole)
        published = "rename after" in taken
        assert len(new) == (1 if published else 0), f"after a kill at {taken[-1]} there are new: {new}"
        for backup_id in new:
            assert backups.verify(backup_id).rows == 8000
        whole = sorted(found)
        assert backups.verify(whole[0]).rows == 8000
    backups.verify(whole[0], restore=True)
    whole.append(backups.create(NewBackup.model_validate({"database": items})).id)
    left = {path.name for path in folder.iterdir() if not path.name.endswith((".lock", ".gitignore"))}
    line.left_overs = len(left - set(whole))
    assert left == set(whole), "leftovers were not cleaned by the next backup"
    assert line.landed == line.points
    line.note = f"{len(steps) - 1} steps; 0 half backups listed; the first one restored and equal afterwards"


def test_a_killed_restore_leaves_no_database(
    project: Project, backups: Backups, items: str, postgres_server: str, figures: Callable[..., Figures]
) -> None:
    line = figures("kill -9, restore", rows=8000)
    backup = backups.create(NewBackup.model_validate({"database": items}))
    into = f"{items}_again"
    try:
        _, steps = run(0, "restore", backup.id, into)
        drop(postgres_server, into)
        before = databases(postgres_server)
        chosen = spread(steps, RESTORE_POINTS)
        for step in chosen:
            code, taken = run(step, "restore", backup.id, into)
            line.points += 1
            line.landed += code == -9
            there = into in databases(postgres_server)
            assert there == (taken[-1] in ("put_in_place after", "done")), (
                f"a half database after {taken[-1]}"
            )
            drop(postgres_server, into)
        backups.restore(RestoreOrder(id=backup.id, into=into))
        left = databases(postgres_server) - before - {into}
        line.left_overs = len(left)
        assert not left, "databases of killed restores were not dropped by the next one"
        assert line.landed == line.points
    finally:
        drop(postgres_server, into)
    line.note = f"{len(steps) - 1} steps"


def databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}


def drop(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

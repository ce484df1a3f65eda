"""The disk of the target fills up in mid-backup: a clear error, nothing half is left, and the next one is good.

How the test was seen to fail: with `_draft` that does not discard, the half backup's folder is left.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dteg.backups.models import NewBackup
from dteg.backups.service import Backups
from dteg.core.errors import EnvironmentProblemError
from tests.faults.loads import Figures

pytestmark = pytest.mark.faults


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of one megabyte."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a small disk is made by mount -t tmpfs, as root")
    folder = Path(tempfile.mkdtemp(prefix="dteg-disk-"))
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        folder.rmdir()
        pytest.skip(f"mount -t tmpfs does not work here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


def test_a_full_disk_leaves_nothing_half(
    backups: Backups, items: str, disk: Path, figures: Callable[..., Figures]
) -> None:
    line = figures("disk full, backup", rows=8000, points=1)
    order = NewBackup.model_validate({"database": items, "to": str(disk / "backups")})
    first = backups.create(order)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(disk).free - 100_000))
    with pytest.raises(EnvironmentProblemError, match="No space left on device"):
        backups.create(order)
    line.landed = 1
    assert [each.id for each in backups.rebuild(str(disk / "backups"))] == [first.id]
    left = {path.name for path in (disk / "backups").iterdir() if path.name.endswith(".partial")}
    assert left == set()
    ballast.unlink()
    second = backups.create(order)
    for each in (first, second):
        assert backups.verify(each.id).rows == 8000
    line.note = "clear error, the backup before is whole, the next one is good"

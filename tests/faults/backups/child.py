"""Makes one backup, or one restore, and kills itself (SIGKILL) at a given step.

`python -m tests.faults.backups.child STEP create DATABASE` or `... STEP restore ID NEWDB`. STEP is the number of the
step, or 0 to go to the end; each step is told on standard output before it is done. Steps are what leaves something
behind: folders and files made, written, synced and renamed, databases made and renamed, rows of the catalogue.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dteg.backups import creation, frames
from dteg.backups import postgres_restore as pg
from dteg.backups.catalogue import Catalogue
from dteg.backups.models import NewBackup, RestoreOrder
from dteg.backups.service import Backups
from dteg.backups.targets import files
from dteg.core.project import Project


class Steps:
    """Counts steps, and ends the process at one of them."""

    def __init__(self, last: int) -> None:
        self.last, self.done = last, 0

    def take(self, name: str) -> None:
        self.done += 1
        print(name, flush=True)
        if self.done == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, label: str, *, after: bool = True) -> None:
        work: Callable[..., Any] = getattr(owner, name)

        def told(*arguments: Any, **options: Any) -> Any:
            self.take(f"{label} before")
            found = work(*arguments, **options)
            if after:
                self.take(f"{label} after")
            return found

        setattr(owner, name, told)


def watch(steps: Steps) -> None:
    creation.FRAME_BYTES = frames.FRAME_BYTES = 65_536  # more of them, so more places to be killed at
    steps.around(files._Steady, "write", "write")
    steps.around(files.os, "fsync", "sync", after=False)
    steps.around(files.FileDraft, "publish", "publish")
    steps.around(files, "_sync", "sync folder")
    steps.around(Path, "rename", "rename")
    steps.around(Catalogue, "save", "catalogue")
    steps.around(creation, "_manifest", "manifest", after=False)
    for name in ("fill", "contents_of", "compared", "give_properties", "put_in_place"):
        steps.around(pg, name, name)


if __name__ == "__main__":
    watch(Steps(int(sys.argv[1])))
    backups = Backups.of(Project.find())
    if sys.argv[2] == "create":
        backups.create(NewBackup.model_validate({"database": sys.argv[3], "encrypt": True}))
    else:
        backups.restore(RestoreOrder(id=sys.argv[3], into=sys.argv[4]))
    print("done", flush=True)

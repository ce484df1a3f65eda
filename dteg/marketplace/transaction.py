"""One change of an environment: all of it, or as it was before, also after a kill.

Before the first file is touched, the files that will go are kept aside and a journal says what is about to happen. A
failure puts them back at once; after a kill the next command that changes the environment does. The lock on the
environment is held by the installer's process too, so nobody repairs while uv is still working for a dead parent.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dteg.core.errors import ConflictError, EnvironmentProblemError
from dteg.core.places import write_whole
from dteg.marketplace.environment import Environment
from dteg.marketplace.lockfile import write_lock

_JOURNAL = "journal.json"
_SNAPSHOT = "snapshot"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Change:
    """One package that comes, goes, or changes its version.

    Attributes:
        name: Normalised name.
        package: For a component, its folder below the site folder, such as `dteg_components/streaming/kafka_extractor`.
    """

    name: str
    package: str = ""


@contextlib.contextmanager
def locked(environment: Environment, *, wait: bool = True) -> Iterator[int]:
    """Keep other dteg processes from changing the environment; yields the descriptor for child processes.

    Raises:
        ConflictError: Another one is at it, and `wait` is False.
    """
    environment.check_writable()
    environment.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (environment.state_dir / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ConflictError("another dteg changes this environment; wait until it is done") from None
        yield file.fileno()


def is_unfinished(environment: Environment) -> bool:
    """Return whether a change was broken off and not yet repaired."""
    return (environment.state_dir / _JOURNAL).exists()


def change(
    environment: Environment,
    changes: Sequence[Change],
    lock_path: Path,
    lock_text: str,
    work: Callable[[], None],
) -> None:
    """Do some work on the environment, and write the lock file; undo all of it if the work fails.

    Call it within `locked`, after `recover`.

    Args:
        environment: What is changed.
        changes: Every package that may change.
        lock_path: The project's lock file.
        lock_text: What shall be in it afterwards.
        work: Changes the environment, and raises if it is not as it should be.
    """
    folder = environment.state_dir
    shutil.rmtree(folder / _SNAPSHOT, ignore_errors=True)
    (folder / _SNAPSHOT).mkdir()
    kept = [each for one in changes for each in _keep_aside(environment, one, folder / _SNAPSHOT)]
    journal = {
        "changes": [asdict(each) for each in changes],
        "kept": kept,
        "lock_path": str(lock_path),
        "lock": lock_text,
    }
    _note(folder, {**journal, "state": "begun"})
    try:
        work()
    except BaseException:
        recover(environment)
        raise
    _note(folder, {**journal, "state": "done"})
    recover(environment)


def recover(environment: Environment) -> str:
    """Finish or undo what was broken off; return what was done, "" if nothing.

    Call it within `locked`.
    """
    folder = environment.state_dir
    try:
        journal = json.loads((folder / _JOURNAL).read_bytes())
    except FileNotFoundError:
        return ""
    except ValueError:
        raise EnvironmentProblemError(
            f"{folder / _JOURNAL} is damaged: make the virtual environment again, then run: dteg install --locked"
        ) from None
    if journal["state"] == "done":
        write_lock(Path(journal["lock_path"]), journal["lock"])
        said = "an install that was broken off after its last step was finished"
    else:
        for each in journal["changes"]:
            _remove(environment, Change(**each))
        for number, path in journal["kept"]:
            _put_back(folder / _SNAPSHOT / str(number), environment.prefix / path)
        said = "an install that was broken off was undone"
    (folder / _JOURNAL).unlink()
    shutil.rmtree(folder / _SNAPSHOT, ignore_errors=True)
    environment.forget()
    return said


def _note(folder: Path, journal: dict[str, Any]) -> None:
    write_whole(folder / _JOURNAL, json.dumps(journal).encode(), mode=0o600)


def files_of(environment: Environment, one: Change) -> list[Path]:
    """Return the files of a package as they lie in the environment now, whole or half installed."""
    files: set[Path] = set()
    stem = one.name.replace("-", "_")
    for info in environment.site.iterdir():
        if info.name.endswith(".dist-info") and _normalised(info.name.partition("-")[0]) == stem:
            files |= {path for path in info.rglob("*") if not path.is_dir()}
            files |= _recorded(environment, info / "RECORD")
    if one.package:
        folder = environment.site / one.package
        files |= {path for path in folder.rglob("*") if not path.is_dir()}
    return sorted(files)


def _normalised(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def _recorded(environment: Environment, record: Path) -> set[Path]:
    """Return what RECORD lists inside the environment, with its compiled files."""
    import csv

    found: set[Path] = set()
    try:
        rows = list(csv.reader(record.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error):
        return found
    prefix = environment.prefix.resolve()
    for row in rows:
        if not row:
            continue
        path = Path(os.path.normpath(environment.site / row[0]))
        if not path.resolve().is_relative_to(prefix):
            continue
        if path.is_file() or path.is_symlink():
            found.add(path)
        if path.suffix == ".py":
            found |= set((path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"))
    return found


def _keep_aside(environment: Environment, one: Change, folder: Path) -> Iterator[tuple[int, str]]:
    """Copy the files of a package; a second name for the same file would change with it if it is overwritten."""
    first = sum(1 for _ in folder.iterdir())
    for number, path in enumerate(files_of(environment, one), first):
        shutil.copy2(path, folder / str(number), follow_symlinks=False)
        yield number, str(path.relative_to(environment.prefix))


def _remove(environment: Environment, one: Change) -> None:
    folders = set()
    for path in files_of(environment, one):
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        here = folder
        while here != environment.site and here.is_relative_to(environment.site):
            try:
                here.rmdir()
            except OSError:  # not empty, or gone already
                break
            here = here.parent


def _put_back(kept: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.dteg")
    shutil.copy2(kept, beside, follow_symlinks=False)
    beside.replace(path)

"""Backups in a folder of this machine.

ID/data, ID/contents, ID/manifest.json    a backup
.ID.partial/                              one that is being written or deleted, or was cut off in that
.SLUG.lock                                held by `flock`, which ends with the process that has it
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from dteg.backups.frames import Reader
from dteg.backups.models import ID
from dteg.backups.targets.port import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Write,
    checked_id,
    is_of,
    lost,
    taken,
    unknown,
)
from dteg.core.errors import EnvironmentProblemError

_PARTIAL = ".partial"
# Written to the disk while the dump goes on, so that the end does not wait for all of it at once.
_SYNC_EVERY_BYTES = 16 << 20


class FileTarget:
    """One folder, which only its owner may enter.

    Args:
        root: The folder; made when it is first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = root.as_uri()

    @contextlib.contextmanager
    def lock(self, slug: str) -> Iterator[None]:
        """See `Target.lock`."""
        with _told(self.root):
            if not self.root.is_dir():
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Backups do not belong into a repository.
                (self.root / ".gitignore").write_text("*\n", encoding="ascii")
            handle = os.open(self.root / f".{slug}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise taken(slug, os.read(handle, 100).decode("ascii", "replace") or "?") from None
            os.truncate(handle, 0)
            os.write(handle, f"process {os.getpid()}".encode())
            yield
        finally:
            os.close(handle)

    def begin(self, backup_id: str, expected_bytes: int) -> "FileDraft":
        """See `Target.begin`."""
        return FileDraft(self.root, backup_id)

    def ids(self) -> list[str]:
        """See `Target.ids`."""
        with _told(self.root):
            names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        return [name for name in names if ID.fullmatch(name) and (self.root / name / MANIFEST).is_file()]

    def manifest(self, backup_id: str) -> bytes:
        """See `Target.manifest`."""
        try:
            with (self._folder(backup_id) / MANIFEST).open("rb") as file:
                return file.read(MAX_MANIFEST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            raise unknown(backup_id, self.uri) from None

    @contextlib.contextmanager
    def open(self, backup_id: str, name: str) -> Iterator[Reader]:
        """See `Target.open`."""
        try:
            file = (self._folder(backup_id) / name).open("rb")
        except FileNotFoundError:
            raise lost(backup_id, name) from None
        with file, _told(self.root):
            yield file

    def remove(self, backup_id: str) -> None:
        """See `Target.remove`."""
        aside = self.root / f".{backup_id}{_PARTIAL}"
        with _told(self.root):
            self._folder(backup_id).rename(aside)
            _sync(self.root)
            shutil.rmtree(aside)

    def clean(self, slug: str) -> list[str]:
        """See `Target.clean`."""
        found = []
        for path in self.root.glob(f".*{_PARTIAL}"):
            backup_id = path.name[1 : -len(_PARTIAL)]
            if is_of(backup_id, slug):
                shutil.rmtree(path, ignore_errors=True)
                found.append(backup_id)
        return found

    def _folder(self, backup_id: str) -> Path:
        return self.root / checked_id(backup_id, self.uri)


class FileDraft:
    """A folder with a name that is not that of a backup."""

    def __init__(self, root: Path, backup_id: str) -> None:
        """Make the folder."""
        self._root, self._id = root, backup_id
        self._folder = root / f".{backup_id}{_PARTIAL}"
        with _told(root):
            self._folder.mkdir(mode=0o700)

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Write]:
        """See `Draft.file`."""
        with _told(self._root):
            path = self._folder / name
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb", buffering=0) as raw:
                yield _Steady(raw).write
                os.fsync(raw.fileno())

    def publish(self, manifest: bytes) -> None:
        """See `Draft.publish`."""
        with self.file(MANIFEST) as write:
            write(manifest)
        with _told(self._root):
            _sync(self._folder)
            self._folder.rename(self._root / self._id)
            _sync(self._root)

    def discard(self) -> None:
        """See `Draft.discard`."""
        shutil.rmtree(self._folder, ignore_errors=True)


class _Steady:
    """Writes a file and lets the disk begin early."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._written = 0

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._written += len(data)
        if self._written >= _SYNC_EVERY_BYTES:
            self._written = 0
            os.fdatasync(self._file.fileno()) if hasattr(os, "fdatasync") else os.fsync(self._file.fileno())


@contextlib.contextmanager
def _told(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblemError(f"backups in {root}: {error.strerror or error}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

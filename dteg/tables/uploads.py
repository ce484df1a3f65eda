"""Files that were sent to become tables: kept in the project's state until then, for a day at the most."""

import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from dteg.core.errors import InputError, NotFoundError
from dteg.core.project import Project
from dteg.tables.loading import Source
from dteg.tables.models import Upload

MAX_AGE_S = 24 * 3600.0
_MAX_NAME = 100
_ID = re.compile(r"^[0-9a-f]{32}$")


@dataclass(frozen=True)
class Uploads:
    """The files that wait.

    Attributes:
        folder: Where they lie, each in a folder of its own.
    """

    folder: Path

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project.state_dir / "uploads")

    @contextmanager
    def incoming(self, name: str) -> "Iterator[Incoming]":
        """Yield a file to write into; it is kept if `finish` was called, else deleted.

        Raises:
            InputError: It has no name.
        """
        self.sweep()
        place = self.folder / secrets.token_hex(16)
        place.mkdir(mode=0o700, parents=True)
        file = Incoming(place, plain_name(name))
        try:
            yield file
        finally:
            file.close()
            if not file.is_whole:
                shutil.rmtree(place, ignore_errors=True)

    def source(self, upload_id: str) -> Source:
        """Return the file.

        Raises:
            NotFoundError: There is none of that id, or not any more.
        """
        place = self._place(upload_id)
        for path in place.iterdir() if place.is_dir() else ():
            return Source(place, path.name)
        raise NotFoundError(f"there is no upload {upload_id!r}; send the file again")

    def delete(self, upload_id: str) -> None:
        """Delete a file; one that is not there is fine."""
        shutil.rmtree(self._place(upload_id), ignore_errors=True)

    def sweep(self) -> None:
        """Delete what nobody came back for."""
        if not self.folder.is_dir():
            return
        for place in self.folder.iterdir():
            try:
                is_old = time.time() - place.stat().st_mtime > MAX_AGE_S
            except FileNotFoundError:
                continue
            if is_old:
                shutil.rmtree(place, ignore_errors=True)

    def _place(self, upload_id: str) -> Path:
        if not _ID.match(upload_id):
            raise NotFoundError("there is no such upload; send the file again")
        return self.folder / upload_id


class Incoming:
    """A file while it arrives."""

    def __init__(self, place: Path, name: str) -> None:
        self._place, self._name = place, name
        self._file: BinaryIO = (place / name).open("xb")
        self._size = 0
        self.is_whole = False

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        self._file.write(data)

    def finish(self) -> Upload:
        """Keep the file."""
        self._file.close()
        if not self._size:
            raise InputError("empty file", source=self._name)
        self.is_whole = True
        return Upload(id=self._place.name, name=self._name, bytes=self._size)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def plain_name(name: str) -> str:
    """Return the last part of a name with letters, digits and `._-` only, so that it means a file and nothing else.

    Raises:
        InputError: Nothing is left.
    """
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    plain = re.sub(r"[^\w.\-]+", "_", last).lstrip("._-")[-_MAX_NAME:]
    if not plain:
        raise InputError(f"{name!r} is no name of a file")
    return plain

"""Files on their way into a store: written to a temporary file, hashed and counted on the way, made durable."""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.blobs.store import CHUNK_BYTES, TooLargeError
from registry.identifiers import new_id

_OLD_PART_S = 3600.0


@dataclass(frozen=True, slots=True)
class Incoming:
    """A whole file, not yet in its place.

    Attributes:
        path: Where it lies now.
        sha256: Hash of its content.
        size: Bytes.
    """

    path: Path
    sha256: str
    size: int


@asynccontextmanager
async def incoming(
    source: Path | AsyncIterator[bytes], folder: Path, limit: int, *, durable: bool = True
) -> AsyncIterator[Incoming]:
    """Yield a copy of `source` in `folder`; what is still there at the end is deleted.

    Args:
        source: A file or its content.
        folder: Where the copy is made.
        limit: Most bytes.
        durable: Whether to wait for the disk; not for what is copied once more.

    Raises:
        TooLargeError: It has more than `limit` bytes.
    """
    path = folder / f"{new_id()}.part"
    try:
        if isinstance(source, Path):
            yield await asyncio.to_thread(_copy, source, _Part(path, limit, durable=durable))
        else:
            yield await _receive(source, _Part(path, limit, durable=durable))
    finally:
        path.unlink(missing_ok=True)


def drop_old_parts(folder: Path) -> None:
    """Delete what uploads have left in a folder that were cut off long ago; blocks."""
    for path in folder.glob("*.part"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _OLD_PART_S:
                path.unlink()


def make_private(folder: Path) -> Path:
    """Make a folder that only its owner may enter, if it is not there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class _Part:
    """A file being written."""

    def __init__(self, path: Path, limit: int, *, durable: bool) -> None:
        make_private(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._hash = hashlib.sha256()
        self._path, self._limit, self._size, self._durable = path, limit, 0, durable

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise TooLargeError(f"the file is larger than {self._limit:,} bytes")
        self._hash.update(chunk)
        self._file.write(chunk)

    def finish(self) -> Incoming:
        self._file.flush()
        if self._durable:
            os.fsync(self._file.fileno())
        self._file.close()
        return Incoming(self._path, self._hash.hexdigest(), self._size)

    def close(self) -> None:
        self._file.close()


def _copy(source: Path, part: _Part) -> Incoming:
    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                part.write(chunk)
        return part.finish()
    finally:
        part.close()


async def _receive(source: AsyncIterator[bytes], part: _Part) -> Incoming:
    try:
        async for chunk in source:
            await asyncio.to_thread(part.write, chunk)
        return await asyncio.to_thread(part.finish)
    finally:
        part.close()

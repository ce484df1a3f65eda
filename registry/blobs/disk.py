"""Files in a folder of this machine."""

import asyncio
import contextlib
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from dteg.core.errors import NotFoundError
from registry.blobs.incoming import Incoming, drop_old_parts, incoming, make_private
from registry.blobs.store import CHUNK_BYTES, Blob, DamagedBlobError

_HEX = frozenset("0123456789abcdef")
_REMEMBERED = 20_000
# Size, time of change and place of a file as it was compared with its hash. The time of the inode's change cannot be
# set by a program, so a file that was written to since then shows.
_Seen = tuple[int, int, int, int]


class DiskBlobs:
    """One file for each content, at `aa/aabbcc…`, readable by its owner only.

    Args:
        root: The folder; made when it is not there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / ".incoming"
        self._aside = root / ".aside"
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def put(self, source: Path | AsyncIterator[bytes], limit: int) -> tuple[str, int]:
        """See `BlobStore.put`."""
        async with incoming(source, self._incoming, limit) as file:
            await asyncio.to_thread(self._place, file)
            return file.sha256, file.size

    async def path(self, sha256: str) -> Path | None:
        """See `BlobStore.path`; a file is hashed once, and again when it was touched."""
        path = self._path(sha256)
        seen = _look(path)
        if seen is None:
            return None
        if self._seen.get(sha256) == seen:
            return path
        if await asyncio.to_thread(_hash, path) != sha256:
            raise DamagedBlobError(sha256)
        self._seen[sha256] = seen
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return path

    async def read(self, sha256: str) -> AsyncIterator[bytes]:
        """See `BlobStore.read`."""
        path = await self.path(sha256)
        if path is None:
            raise NotFoundError(f"there is no stored file {sha256}")
        with path.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk

    async def has(self, sha256: str) -> bool:
        """See `BlobStore.has`."""
        return self._path(sha256).is_file()

    async def all(self) -> AsyncIterator[Blob]:
        """See `BlobStore.all`; also deletes what uploads that were cut off have left behind."""
        await asyncio.to_thread(drop_old_parts, self._incoming)
        for blob in await asyncio.to_thread(lambda: list(self._files())):
            yield blob

    async def set_aside(self, sha256: str) -> bool:
        """See `BlobStore.set_aside`."""
        return _move(self._path(sha256), make_private(self._aside) / sha256)

    async def bring_back(self, sha256: str) -> bool:
        """See `BlobStore.bring_back`."""
        place = self._path(sha256)
        make_private(place.parent)
        return _move(self._aside / sha256, place)

    async def discard(self, sha256: str) -> None:
        """See `BlobStore.discard`."""
        (self._aside / sha256).unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        # A hash is the only thing that becomes part of a path.
        if len(sha256) != 64 or not _HEX.issuperset(sha256):
            raise NotFoundError("a file is named by 64 hexadecimal digits")
        return self._root / sha256[:2] / sha256

    def _place(self, file: Incoming) -> None:
        place = self._path(file.sha256)
        make_private(place.parent)
        # Over an older copy too: that makes it new, and heals a damaged one.
        file.path.replace(place)
        _fsync_folder(place.parent)

    def _files(self) -> Iterator[Blob]:
        for folder in self._root.glob("[0-9a-f][0-9a-f]"):
            for path in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    yield Blob(path.name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _look(path: Path) -> _Seen | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(source: Path, target: Path) -> bool:
    try:
        source.replace(target)
    except FileNotFoundError:
        return False
    return True


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

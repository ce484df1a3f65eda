"""The port: where files lie, by the SHA-256 of their content.

What a store hands out has been compared with its hash; a damaged file is an error, never an answer. A file that
nothing refers to is first set aside and only later deleted, so that a publish that wants the very same content at the
same moment loses nothing: see `Releases.sweep_blobs`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from dteg.core.errors import InputError, UnavailableError
from registry.settings import RegistrySettings

CHUNK_BYTES = 262_144


class TooLargeError(InputError):
    """What is uploaded has more bytes than allowed: make it smaller."""


class DamagedBlobError(UnavailableError):
    """A stored file is no longer what its hash says: an administrator has to restore it from a backup."""

    def __init__(self, sha256: str) -> None:
        """Name the file."""
        super().__init__(
            f"the stored file {sha256} is damaged; the administrator has to restore it", retry_after_s=60
        )


@dataclass(frozen=True, slots=True)
class Blob:
    """One stored file.

    Attributes:
        sha256: Hash of its content, hexadecimal.
        size: Bytes.
        modified: When it was stored last (UTC).
    """

    sha256: str
    size: int
    modified: datetime


class BlobStore(Protocol):
    """Adapters: `DiskBlobs`, `ObjectBlobs`."""

    async def put(self, source: Path | AsyncIterator[bytes], limit: int) -> tuple[str, int]:
        """Store a file durably and return its hash and size (bytes). Storing it again makes it new.

        Args:
            source: A file or its content.
            limit: Most bytes.

        Raises:
            TooLargeError: It has more; nothing is stored.
        """

    async def path(self, sha256: str) -> Path | None:
        """Return the file, compared with its hash; None if it is not there, or not on this machine.

        Raises:
            DamagedBlobError: It is not what its hash says.
        """

    def read(self, sha256: str) -> AsyncIterator[bytes]:
        """Yield the content, compared with its hash before the first byte.

        Raises:
            NotFoundError: There is none.
            DamagedBlobError: It is not what its hash says.
        """

    async def has(self, sha256: str) -> bool:
        """Return whether a file is there."""

    def all(self) -> AsyncIterator[Blob]:
        """Yield all files, in no order; what is set aside is not among them."""

    async def set_aside(self, sha256: str) -> bool:
        """Take a file out of use, so that it can still be brought back; return whether it was there."""

    async def bring_back(self, sha256: str) -> bool:
        """Undo `set_aside`; return whether it was there."""

    async def discard(self, sha256: str) -> None:
        """Delete what was set aside."""


def open_blob_store(settings: RegistrySettings) -> BlobStore:
    """Return the store that the settings name."""
    if settings.blob_url:
        from registry.blobs.objects import ObjectBlobs

        return ObjectBlobs(settings.blob_url, settings.data_dir / "uploads")
    from registry.blobs.disk import DiskBlobs

    return DiskBlobs(settings.data_dir / "blobs")

"""The port: a place that shows a backup whole or not at all."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from dteg.backups.errors import DamagedBackupError
from dteg.backups.frames import Reader
from dteg.backups.models import ID
from dteg.core.errors import ConflictError, NotFoundError

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 6_000_000
# A lock whose owner does not say for so long that it still works is nobody's any more.
LEASE_S = 300.0
RENEW_S = 60.0

Write = Callable[[bytes], object]


class Draft(Protocol):
    """A backup that is being written and that nobody can see yet."""

    def file(self, name: str) -> AbstractContextManager[Write]:
        """Write one of its files; it is durable when the block ends."""

    def publish(self, manifest: bytes) -> None:
        """Show the backup, whole and durable, in one step."""

    def discard(self) -> None:
        """Delete what was written; never raises for what is not there."""


class Target(Protocol):
    """Adapters: `FileTarget`, `ObjectTarget`, `SftpTarget`.

    Attributes:
        uri: The place as people write it, without secrets.
    """

    uri: str

    def lock(self, slug: str) -> AbstractContextManager[None]:
        """Keep others from writing or deleting backups of the same database here.

        Raises:
            ConflictError: Somebody does so now.
        """

    def begin(self, backup_id: str, expected_bytes: int) -> Draft:
        """Begin a backup of about so many bytes."""

    def ids(self) -> list[str]:
        """Return the backups that are whole, sorted."""

    def manifest(self, backup_id: str) -> bytes:
        """Return a manifest as it was published.

        Raises:
            NotFoundError: There is no such backup here.
        """

    def open(self, backup_id: str, name: str) -> AbstractContextManager[Reader]:
        """Read one file of a backup from its beginning.

        Raises:
            DamagedBackupError: It is not there.
        """

    def remove(self, backup_id: str) -> None:
        """Delete a backup, so that no half of it is ever seen as one."""

    def clean(self, slug: str) -> list[str]:
        """Delete what backups that were cut off have left; only under `lock`. Return their ids."""


def slug_of(database: str) -> str:
    """Return the part of a backup's id that tells its database."""
    return re.sub(r"[^a-z0-9_-]+", "_", database.lower())[:40] or "_"


def is_of(backup_id: str, slug: str) -> bool:
    """Whether a name is the id of a backup of that database."""
    return bool(ID.fullmatch(backup_id)) and backup_id.rsplit("-", 2)[0] == slug


def taken(slug: str, who: str) -> ConflictError:
    """Return the error for a lock that somebody has."""
    return ConflictError(
        f"another backup, restore or prune of {slug} is at work there ({who}); try again later"
    )


def checked_id(backup_id: str, uri: str) -> str:
    """Return the id of a backup; it is the only thing that becomes part of a path.

    Raises:
        NotFoundError: It cannot be one.
    """
    if not ID.fullmatch(backup_id):
        raise unknown(backup_id, uri)
    return backup_id


def unknown(backup_id: str, uri: str) -> NotFoundError:
    """Return the error for a backup that is not there."""
    return NotFoundError(f"there is no backup {backup_id} at {uri}; see: dteg backups --to {uri}")


def lost(backup_id: str, name: str) -> DamagedBackupError:
    """Return the error for a file that is not there."""
    return DamagedBackupError(f"the file {name} of backup {backup_id} is not there")

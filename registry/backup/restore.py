"""Checks a backup, and makes a registry from it."""

import asyncio
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bson.errors import BSONError
from bson.json_util import CANONICAL_JSON_OPTIONS, loads

from dteg.core.errors import ConflictError
from dteg.packages import MAX_PACKED_BYTES
from registry.backup.models import (
    BLOBS,
    COLLECTIONS,
    BackupError,
    BackupManifest,
    blob_file,
    collection_file,
    read_backup,
)
from registry.migrations import COLLECTION as META
from registry.migrations import RESTORING
from registry.releases.store import FILES

if TYPE_CHECKING:
    from registry.services import Services

_AT_ONCE = 500
_OPTIONS = CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)


def verify_backup(folder: Path, expect: str = "") -> BackupManifest:
    """Read all of a backup and return its manifest.

    Args:
        folder: The backup.
        expect: SHA-256 that its manifest must have; "" takes any.

    Raises:
        BackupError: The first thing that is missing, changed or too much.
    """
    manifest = read_backup(folder, expect)
    for name, collection in manifest.collections.items():
        path = collection_file(folder, name)
        if _hash(path) != collection.sha256:
            raise BackupError("is not what was written: its SHA-256 differs", source=str(path))
        if (count := sum(1 for _ in _lines(path))) != collection.count:
            raise BackupError(f"has {count} documents, not {collection.count}", source=str(path))
    for sha256 in manifest.blobs:
        path = blob_file(folder, sha256)
        if _hash(path) != sha256:
            raise BackupError("is not what its name says: its SHA-256 differs", source=str(path))
    _refuse_strangers(folder, manifest)
    _refuse_missing(folder, manifest)
    return manifest


async def restore(services: "Services", folder: Path, expect: str = "") -> BackupManifest:
    """Make a registry from a backup, in an empty database; a restore that was cut off is begun anew.

    Private keys are not in it: put those of the old `data_dir` into the new one first, else the registry signs with a
    new key from now on, and everybody has to log in again.

    Raises:
        BackupError: The backup is damaged; nothing was written.
        ConflictError: The database is not empty.
    """
    manifest = await asyncio.to_thread(verify_backup, folder, expect)
    await _begin(services)
    for sha256 in manifest.blobs:
        stored, _ = await services.blobs.put(blob_file(folder, sha256), MAX_PACKED_BYTES)
        if stored != sha256:  # changed after it was verified
            raise BackupError("is not what its name says", source=str(blob_file(folder, sha256)))
    for name in manifest.collections:
        if name != META:
            await _fill(services, folder, name)
    if META in manifest.collections:
        await _fill(services, folder, META)
    # Only now may a server work on it.
    await services.database[META].delete_one({"_id": RESTORING})
    await services.prepare()
    # What this machine has seen last was of the registry before.
    services.index.forget_kept()
    services.search.forget_kept()
    after = ""
    while ids := await services.components.ids(after, _AT_ONCE):
        after = ids[-1]
        for component in ids:  # it went on working while the backup was made
            await services.components.refresh(component)
    return manifest


async def _begin(services: "Services") -> None:
    database = services.database
    meta = database[META]
    if await meta.find_one({"_id": RESTORING}) is None:
        for name in await database.collections():
            if name != META and await database[name].find_one({}, {"_id": 1}) is not None:
                raise ConflictError(
                    f"the database is not empty (it has {name}): restore into another one (DTEG_REGISTRY_DATABASE)"
                )
    await database.drop()
    await meta.insert_one({"_id": RESTORING, "at": services.clock()})


async def _fill(services: "Services", folder: Path, name: str) -> None:
    documents = _lines(collection_file(folder, name))
    while batch := list(islice(documents, _AT_ONCE)):
        await services.database[name].insert_many(batch)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield loads(line, json_options=_OPTIONS)
            except (ValueError, TypeError, BSONError):
                raise BackupError("is not extended JSON", source=str(path), line=number) from None


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackupError(f"cannot be read: {error.strerror}", source=str(path)) from None


def _refuse_strangers(folder: Path, manifest: BackupManifest) -> None:
    """Refuse files that the manifest does not name: somebody added them."""
    known = {collection_file(folder, name) for name in manifest.collections}
    known |= {blob_file(folder, sha256) for sha256 in manifest.blobs}
    for part in (COLLECTIONS, BLOBS):
        for path in (folder / part).rglob("*"):
            if path.is_symlink() or (path.is_file() and path not in known):
                raise BackupError("does not belong to this backup", source=str(path))


def _refuse_missing(folder: Path, manifest: BackupManifest) -> None:
    if FILES not in manifest.collections:
        return
    for claim in _lines(collection_file(folder, FILES)):
        for sha256 in claim["blobs"]:
            if sha256 not in manifest.blobs:
                raise BackupError(f"lacks the file {sha256} of {claim['release']}", source=str(folder))

"""Writes a whole registry into a folder, while it goes on working.

Nothing in a registry is replaced, so a plain copy is consistent if what refers is read before what it refers to: a
release that is in the backup has its file names and files there too. Not in the backup: the private keys of
`data_dir` (keep them apart), and counts of requests.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bson.json_util import CANONICAL_JSON_OPTIONS, dumps

from dteg import __version__
from dteg.core.errors import EnvironmentProblemError
from registry.backup.models import (
    MANIFEST,
    BackupManifest,
    Collection,
    blob_file,
    collection_file,
)
from registry.blobs.incoming import make_private
from registry.releases.store import FILES

if TYPE_CHECKING:
    from registry.services import Services

_LEFT_OUT = frozenset({"rate"})
# In this order, after all others: see above. Heads of chains come before the chains.
_LAST = (
    "audit_head", "audit", "log_head", "log", "components", "counters", "gate_runs", "compat_cells", "jobs", "versions",
    "attestations", "registry_keys", FILES,
)  # fmt: skip


async def back_up(services: "Services", folder: Path) -> tuple[BackupManifest, str]:
    """Write a backup and return its manifest and the SHA-256 of that: who keeps it can tell a forged backup.

    Args:
        services: Of the registry.
        folder: A new or empty one.

    Raises:
        EnvironmentProblemError: The folder is not empty, or cannot be written.
        DamagedBlobError: A stored file is not what its hash says.
    """
    await asyncio.to_thread(_make_empty, folder)
    made_at = services.clock().isoformat(timespec="milliseconds")
    there = [name for name in await services.database.collections() if name not in _LEFT_OUT]
    ordered = [name for name in there if name not in _LAST] + [name for name in _LAST if name in there]
    collections = {name: await _export(services, folder, name) for name in ordered}
    blobs: dict[str, int] = {}
    async for claim in services.database[FILES].find({}, {"blobs": 1}):
        for sha256 in claim["blobs"]:
            if sha256 not in blobs:
                blobs[sha256] = await _copy_blob(services, folder, sha256)
    manifest = BackupManifest(made_at=made_at, dteg=__version__, collections=collections, blobs=blobs)
    content = manifest.model_dump_json(indent=1).encode()
    await asyncio.to_thread(_write_last, folder / MANIFEST, content)
    return manifest, hashlib.sha256(content).hexdigest()


def _make_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EnvironmentProblemError(f"{folder} is not an empty folder; choose another one")
    make_private(folder)


async def _export(services: "Services", folder: Path, name: str) -> Collection:
    path = collection_file(folder, name)
    make_private(path.parent)
    digest, count = hashlib.sha256(), 0
    with _private_file(path) as file:
        async for document in services.database[name].find({}, sort=[("_id", 1)]):
            line = f"{dumps(document, json_options=CANONICAL_JSON_OPTIONS)}\n".encode()
            digest.update(line)
            file.write(line)
            count += 1
        _make_durable(file)
    return Collection(count=count, sha256=digest.hexdigest())


async def _copy_blob(services: "Services", folder: Path, sha256: str) -> int:
    path, size = blob_file(folder, sha256), 0
    make_private(path.parent)
    chunks: AsyncIterator[bytes] = services.blobs.read(sha256)
    with _private_file(path) as file:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
            size += len(chunk)
        _make_durable(file)
    return size


def _write_last(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with _private_file(part) as file:
        file.write(content)
        _make_durable(file)
    part.replace(path)


def _private_file(path: Path) -> IO[bytes]:
    # It holds hashes of passwords: for its owner only.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _make_durable(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())

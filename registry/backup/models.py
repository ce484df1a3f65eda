"""What a backup says of itself."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from dteg.core.config import ConfigModel
from dteg.core.errors import InputError

MANIFEST = "manifest.json"
COLLECTIONS = "collections"
BLOBS = "blobs"


class BackupError(InputError):
    """A backup is damaged, or not whole: take another one."""


class Collection(ConfigModel):
    """One collection, in `collections/<name>.jsonl`: one document a line, as MongoDB's canonical extended JSON."""

    count: int = Field(ge=0, description="Documents.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Hash of the file.")


class BackupManifest(ConfigModel):
    """What belongs to a backup; written last, so that a backup without it was cut off."""

    format: Literal[1] = Field(1, description="Version of this form.")
    made_at: str = Field(description="When it was begun (UTC).")
    dteg: str = Field(description="Version of dteg that made it.")
    collections: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,60}$")], Collection] = Field(
        description="All collections, by name."
    )
    blobs: dict[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], int] = Field(
        description="Size (bytes) of each stored file, by its SHA-256."
    )


def read_backup(folder: Path, expect: str = "") -> BackupManifest:
    """Return the manifest of a backup.

    Args:
        folder: The backup.
        expect: SHA-256 that the manifest must have, as `backup` printed it; "" takes any.

    Raises:
        BackupError: It is not there, not readable, or another one.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackupError(
            f"cannot be read ({error.strerror}): was the backup cut off?", source=str(path)
        ) from None
    if expect and hashlib.sha256(content).hexdigest() != expect:
        raise BackupError("is not the manifest with the SHA-256 that is expected", source=str(path))
    try:
        return BackupManifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BackupError(
            f"is not the manifest of a backup: {place}: {first['msg']}", source=str(path)
        ) from None


def collection_file(folder: Path, name: str) -> Path:
    """Return where a collection lies."""
    return folder / COLLECTIONS / f"{name}.jsonl"


def blob_file(folder: Path, sha256: str) -> Path:
    """Return where a stored file lies."""
    return folder / BLOBS / sha256[:2] / sha256

"""Backups read back: each byte of them compared with what was signed."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from dteg.backups.contents import Contents
from dteg.backups.errors import DamagedBackupError
from dteg.backups.frames import HashingReader, read_frames
from dteg.backups.keys import KeyRing
from dteg.backups.models import Manifest
from dteg.backups.targets import Target


def read_manifest(target: Target, backup_id: str, keys: KeyRing) -> Manifest:
    """Return the manifest of a backup, after its signature was found good.

    Raises:
        NotFoundError: There is no such backup.
        DamagedBackupError: It is not what was signed.
    """
    data = target.manifest(backup_id)
    try:
        envelope = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise DamagedBackupError(f"the manifest of {backup_id} is not JSON") from None
    if not isinstance(envelope, dict):
        raise DamagedBackupError(f"the manifest of {backup_id} is not a signed document")
    manifest = keys.opened(envelope, backup_id)
    if not _is_as_written(envelope, data):
        raise DamagedBackupError(f"the manifest of {backup_id} was altered, though not in what it says")
    return manifest


def _is_as_written(envelope: dict[str, Any], data: bytes) -> bool:
    """Whether not even what no signature covers was touched: the last bits of a base64 text, for one."""
    (signature,) = envelope["signatures"]
    texts = (envelope["payload"], signature["sig"])
    return orjson.dumps(envelope) == data and all(
        base64.b64encode(base64.b64decode(text)).decode() == text for text in texts
    )


def read_contents(target: Target, manifest: Manifest, data_key: bytes | None) -> Contents:
    """Return the figures of what is in a backup."""
    data = b"".join(read_file(target, manifest, "contents", data_key))
    try:
        return Contents.model_validate(orjson.loads(data))
    except ValueError as error:
        raise DamagedBackupError(f"the contents of {manifest.id} cannot be read: {error}") from None


def read_file(
    target: Target,
    manifest: Manifest,
    name: str,
    data_key: bytes | None,
    passed: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    """Yield the content of one file of a backup.

    Each piece was found whole before it is handed out; whether the file is the very one of the manifest is known at the
    end, so who uses it has to be able to undo that.

    Args:
        target: Where it lies.
        manifest: What was signed.
        name: `data` or `contents`.
        data_key: What opens it.
        passed: Is told how many bytes of content have come.

    Raises:
        DamagedBackupError: It is not what was written.
    """
    info = manifest.file(name)
    total = 0
    try:
        with target.open(manifest.id, name) as source:
            reader = HashingReader(source)
            for piece in read_frames(reader, data_key):
                yield piece
                total += len(piece)
                if passed:
                    passed(total)
            reader.compare(info.sha256, info.bytes)
    except DamagedBackupError as error:
        raise DamagedBackupError(f"backup {manifest.id}, file {name}: {error}") from None

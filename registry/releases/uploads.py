"""Uploads on their way in: taken from the form into a file of their own, then looked into."""

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from dteg.core.errors import InputError
from dteg.packages import MAX_PACKED_BYTES, WheelContents, inspect_wheel
from registry.blobs.incoming import incoming
from registry.blobs.store import CHUNK_BYTES

MAX_ENVELOPE_BYTES = 65_536
MAX_TEXT_BYTES = 200_000
_FORM = "send a form (multipart/form-data) with `wheel`, a file, and `signature`, the text of a DSSE envelope"


@dataclass(frozen=True, slots=True)
class Upload:
    """A wheel that was checked, with what the registry keeps of its inside.

    Attributes:
        path: Where it lies now.
        contents: What it holds.
        metadata: Its METADATA.
        changelog: Its CHANGELOG.md; "" without.
    """

    path: Path
    contents: WheelContents
    metadata: bytes
    changelog: str


@asynccontextmanager
async def received(request: Request, folder: Path) -> AsyncIterator[tuple[Path, dict[str, Any]]]:
    """Yield the uploaded wheel, as a file that is gone at the end, and the envelope beside it.

    Raises:
        InputError: The form is not what it should be.
        TooLargeError: The wheel has more than `MAX_PACKED_BYTES`.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InputError(_FORM)
    async with request.form(max_files=1, max_fields=1, max_part_size=MAX_ENVELOPE_BYTES) as form:
        wheel, signature = form.get("wheel"), form.get("signature")
        if not isinstance(wheel, UploadFile) or not isinstance(signature, str):
            raise InputError(_FORM)
        envelope = envelope_in(signature)
        async with incoming(chunks_of(wheel), folder, MAX_PACKED_BYTES, durable=False) as file:
            yield file.path, envelope


def look_into(path: Path) -> Upload:
    """Check a wheel and take out what is kept beside it; blocks.

    Raises:
        PackageError: It breaks a rule.
        InputError: A text in it is too long.
    """
    contents = inspect_wheel(path)
    manifest = contents.manifest
    package = manifest.package.replace(".", "/")
    names = {file.path: file.size for file in contents.files}
    info = next(name for name in names if name.endswith(".dist-info/METADATA"))
    for name in (info, f"{package}/README.md", f"{package}/CHANGELOG.md", f"{package}/dteg.schema.json"):
        if names.get(name, 0) > MAX_TEXT_BYTES:
            raise InputError(
                f"{name} has {names[name]:,} bytes; at most {MAX_TEXT_BYTES:,} are shown: shorten it"
            )
    with zipfile.ZipFile(path) as archive:
        changelog = f"{package}/CHANGELOG.md"
        text = archive.read(changelog).decode("utf-8", "replace") if changelog in names else ""
        return Upload(path, contents, archive.read(info), text)


async def chunks_of(file: UploadFile) -> AsyncIterator[bytes]:
    """Yield the parts of an uploaded file."""
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


def envelope_in(text: str) -> dict[str, Any]:
    """Return the envelope that a text holds.

    Raises:
        InputError: It holds none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError("`signature` is not a DSSE envelope: JSON with payload and signatures")
    return found


async def inspected(path: Path) -> Upload:
    """Look into a wheel without holding up other requests."""
    return await asyncio.to_thread(look_into, path)

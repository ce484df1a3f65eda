"""What could be found last, as a file: for a start while the database is down."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from registry.identifiers import new_id
from registry.search.entries import Entry
from registry.search.quality import Quality

_FORMAT = 1
_TUPLES = ("tags", "capabilities", "proven")


def save(path: Path, entries: Iterable[Entry]) -> None:
    """Keep entries, readable by the owner only. Blocks.

    Raises:
        OSError: The folder cannot be written.
    """
    part = path.with_name(f"{path.name}.{new_id()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps({"format": _FORMAT}) + b"\n")
            for entry in entries:
                file.write(orjson.dumps(entry, default=_text) + b"\n")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def load(path: Path) -> list[Entry]:
    """Return the entries that were kept; none if there is no file, or none that this version reads. Blocks."""
    try:
        with path.open("rb") as file:
            if orjson.loads(next(file))["format"] != _FORMAT:
                return []
            return [_entry(orjson.loads(line)) for line in file]
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return []


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError


def _entry(kept: dict[str, Any]) -> Entry:
    quality, body = Quality(**kept.pop("quality")), kept.pop("body").encode()
    return Entry(**{**kept, **{name: tuple(kept[name]) for name in _TUPLES}}, quality=quality, body=body)

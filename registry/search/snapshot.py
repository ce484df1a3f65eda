"""What could be found last, as a file: for a start without the database, or without reading all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from registry.replacing import replacing
from registry.search.entries import Entry
from registry.search.quality import Quality

_FORMAT = 2
_TUPLES = ("tags", "capabilities", "proven")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What could be found.

    Attributes:
        database: Of which database.
        rev: The newest change that is in it.
        made_at: When it was written.
        entries: What could be found.
    """

    database: str
    rev: int
    made_at: datetime
    entries: Sequence[Entry]


def save(path: Path, snapshot: Snapshot) -> None:
    """Keep it, readable by the owner only. Blocks.

    Raises:
        OSError: The folder cannot be written.
    """
    head = {
        "format": _FORMAT, "database": snapshot.database, "rev": snapshot.rev, "made_at": snapshot.made_at,
        "entries": len(snapshot.entries),
    }  # fmt: skip
    with replacing(path) as file:
        file.write(orjson.dumps(head) + b"\n")
        for entry in snapshot.entries:
            file.write(orjson.dumps(entry, default=_text) + b"\n")


def load(path: Path) -> Snapshot | None:
    """Return what was kept; None if there is no file, or none that is whole and that this version reads. Blocks."""
    try:
        with path.open("rb") as file:
            head = orjson.loads(next(file))
            if head["format"] != _FORMAT:
                return None
            entries = [_entry(orjson.loads(line)) for line in file]
            if len(entries) != head["entries"]:
                return None
            return Snapshot(
                str(head["database"]), int(head["rev"]), datetime.fromisoformat(head["made_at"]), entries
            )
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError


def _entry(kept: dict[str, Any]) -> Entry:
    quality, body = Quality(**kept.pop("quality")), kept.pop("body").encode()
    return Entry(**{**kept, **{name: tuple(kept[name]) for name in _TUPLES}}, quality=quality, body=body)

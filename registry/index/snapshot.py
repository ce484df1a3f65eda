"""The index as this machine saw it last, as a file: for a start without the database, or without reading all of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sys import intern
from typing import Any

import orjson

from registry.releases.models import IndexedFile
from registry.replacing import replacing

_FORMAT = 3
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was known.

    Attributes:
        database: Of which database.
        files: All files.
        revs: The `rev` of each component that they were read for.
    """

    database: str
    files: Sequence[IndexedFile]
    revs: dict[str, int]


def save(path: Path, snapshot: Snapshot) -> None:
    """Write it, readable by the owner only, some files in a line. Blocks.

    Other threads work meanwhile: the interpreter is let go after each line.

    Raises:
        OSError: The folder cannot be written.
    """
    files = snapshot.files
    with replacing(path) as file:
        file.write(orjson.dumps({"format": _FORMAT, "database": snapshot.database}))
        for start in range(0, len(files), _AT_ONCE):
            file.write(b"\n" + orjson.dumps(files[start : start + _AT_ONCE]))
            file.flush()
        # At the end, so that a file that was cut off is none.
        file.write(b"\n" + orjson.dumps({"files": len(files), "revs": snapshot.revs}))


def load(path: Path) -> Snapshot | None:
    """Return what was kept; None if there is no file, or none that is whole and that this version reads. Blocks."""
    try:
        with path.open("rb") as file:
            first = orjson.loads(next(file))
            if first["format"] != _FORMAT:
                return None
            files: list[IndexedFile] = []
            line = next(file)
            for following in file:
                files.extend(map(_file, orjson.loads(line)))
                line = following
            end = orjson.loads(line)
            if len(files) != end["files"]:
                return None
            return Snapshot(str(first["database"]), files, dict(end["revs"]))
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


def _file(kept: dict[str, Any]) -> IndexedFile:
    # What the files of one component have in common is kept once.
    common = {
        name: intern(kept[name]) for name in ("component", "distribution", "version", "requires_python")
    }
    return IndexedFile(**{**kept, **common, "published_at": datetime.fromisoformat(kept["published_at"])})

"""Makes a file and the state that belongs to it visible as one.

Two files cannot be renamed at once, so one rename decides. In this order:

1. The data lies in `<path>.partial-<load id>`, dead letters likewise, both on disk (fsync).
2. The state file `<path>.dteg.json` says, beside the state that holds, which load is `pending`.
3. The partial data file is renamed to its final name: from here on the load has happened.
4. Dead letters are renamed, a replaced folder loses its other parts, and the state file takes the
   pending state as the one that holds.

Whoever finds a `pending` load after a crash looks for its partial data file. It is still there: step 3
did not happen; pending is dropped first, and only then the partial file. It is gone: step 3 did happen,
and step 4 is repeated. So rows are never lost, and never loaded twice from an old checkpoint. Only
who reads a folder in the instant between steps 3 and 4 of a replace sees old and new parts together.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dteg.core.errors import PermanentError


@dataclass(frozen=True, slots=True)
class LoadState:
    """What the last load left behind."""

    load_id: str
    checkpoint: dict[str, Any]
    columns: dict[str, str]
    replaces: bool
    rows_read: int = 0
    rows_written: int = 0
    rows_rejected: int = 0
    bytes_read: int = 0
    total_rows: int = 0


@dataclass(slots=True)
class Places:
    """All files of one target.

    Attributes:
        base: The configured path without a trailing slash.
        part_suffix: For folders: what ends the name of a part, such as `.csv`; else None.
    """

    base: Path
    part_suffix: str | None = None
    state: Path = field(init=False)
    dead_letters: Path = field(init=False)

    def __post_init__(self) -> None:
        """Name the files beside the target."""
        self.state = self._beside(".dteg.json")
        self.dead_letters = self._beside(".dead_letters.jsonl")

    def final(self, load_id: str) -> Path:
        """Where the data of a load ends up."""
        if self.part_suffix is None:
            return self.base
        return self.base / f"part-{quote(load_id, safe='')}{self.part_suffix}"

    def parts(self) -> list[Path]:
        """All parts of a folder; none for a file."""
        if self.part_suffix is None or not self.base.is_dir():
            return []
        return [path for path in self.base.iterdir() if path.name.startswith("part-")]

    def partial(self, load_id: str) -> Path:
        """Where the data of a load grows."""
        return self._beside(f".partial-{quote(load_id, safe='')}")

    def partial_dead_letters(self, load_id: str) -> Path:
        """Where the dead letters of a load grow."""
        return self._beside(f".partial-{quote(load_id, safe='')}.dead_letters")

    def _beside(self, suffix: str) -> Path:
        return self.base.with_name(self.base.name + suffix)


class Publication:
    """The state file and the protocol above; used under the target's lock only."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.state: LoadState | None = None
        self._pending: LoadState | None = None

    def recover(self) -> None:
        """Read the state, finish or undo a load that was cut off, and remove partial files of dead loads."""
        self._read()
        if self._pending:
            if not self._places.partial(self._pending.load_id).exists():
                self._finish(self._pending)
            self._pending = None
            self._write()
        base = self._places.base
        if base.parent.is_dir():
            for stale in base.parent.iterdir():
                if stale.name.startswith(f"{base.name}.partial-"):
                    stale.unlink()
        if not base.exists():
            # Someone deleted the data: its checkpoint would skip rows that are nowhere.
            self.state = None

    def publish(self, state: LoadState) -> None:
        """Make a load visible, whose partial files are complete and on disk."""
        final = self._places.final(state.load_id)
        final.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(self._places.base.parent)
        self._pending = state
        self._write()
        self._places.partial(state.load_id).replace(final)
        sync_folder(final.parent)
        sync_folder(self._places.base.parent)
        self._finish(state)
        self._pending = None
        self._write()

    def _finish(self, state: LoadState) -> None:
        if state.replaces:
            for part in self._places.parts():
                if part != self._places.final(state.load_id):
                    part.unlink()
        with suppress(FileNotFoundError):
            self._places.partial_dead_letters(state.load_id).replace(self._places.dead_letters)
        with suppress(FileNotFoundError):
            if not self._places.dead_letters.stat().st_size:
                self._places.dead_letters.unlink()
        self.state = state

    def _read(self) -> None:
        try:
            data = json.loads(self._places.state.read_text(encoding="utf-8"))
            self.state, self._pending = (
                LoadState(**data[name]) if data[name] else None for name in ("state", "pending")
            )
        except FileNotFoundError:
            self.state = self._pending = None
        except (OSError, ValueError, TypeError, KeyError) as error:
            message = (
                f"{self._places.state}: the state of the last load cannot be read; move it away to start anew"
            )
            raise PermanentError(f"{message} ({type(error).__name__})", component="files") from None

    def _write(self) -> None:
        target = self._places.state
        data = {
            name: asdict(state) if state else None
            for name, state in (("state", self.state), ("pending", self._pending))
        }
        partial = target.with_name(target.name + ".new")
        with partial.open("w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What the loader remembers about one stream between loads."""

import fcntl
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import orjson

from dteg.connectors import Checkpoint, LoadResult

from .files import read_json, replace_file

KEPT_LOADS = 1000


@dataclass
class SavedState:
    """What earlier loads left.

    Attributes:
        target: URL they were sent to.
        checkpoint: Position the last published one ended at; None before the first.
        columns: SQL type by column.
        loads: Results by load id, the oldest first.
        abandoned: Load id of a load that was given up after a part of it had been sent.
    """

    target: str
    checkpoint: Checkpoint | None = None
    columns: dict[str, str] = field(default_factory=dict)
    loads: dict[str, LoadResult] = field(default_factory=dict)
    abandoned: str = ""


def read_state(path: Path, target: str) -> SavedState:
    """Return what was saved for `target`, or a blank state."""
    data = read_json(path)
    if data is None or data["target"] != target:
        return SavedState(target)
    return SavedState(
        target,
        Checkpoint.from_json(data["checkpoint"]) if data["checkpoint"] else None,
        data["columns"],
        {load_id: LoadResult(**result) for load_id, result in data["loads"].items()},
        data["abandoned"],
    )


def write_state(path: Path, state: SavedState) -> None:
    """Replace the saved state at once."""
    data = {
        "target": state.target,
        "checkpoint": state.checkpoint.to_json() if state.checkpoint else None,
        "columns": state.columns,
        "loads": {load_id: asdict(result) for load_id, result in list(state.loads.items())[-KEPT_LOADS:]},
        "abandoned": state.abandoned,
    }
    replace_file(path, orjson.dumps(data, option=orjson.OPT_INDENT_2))


def lock(path: Path) -> IO[bytes]:
    """Wait until no other load of the stream is running; closing the file lets the next one run."""
    handle = path.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except BaseException:
        handle.close()
        raise
    return handle

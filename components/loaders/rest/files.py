"""Files that are replaced at once, and names that may stand in a path."""

import os
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from dteg.core.errors import InputError


def file_part(name: str) -> str:
    """Encode a name so that it can be a part of a file name, and no two names become one."""
    return quote(name, safe="").replace(".", "%2E")


def json_lines(values: Iterable[Any]) -> bytes:
    """Return dataclasses or JSON values, one a line."""
    plain = (
        asdict(value) if is_dataclass(value) and not isinstance(value, type) else value for value in values
    )
    return b"".join(orjson.dumps(value, default=str, option=orjson.OPT_APPEND_NEWLINE) for value in plain)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; None if there is no file.

    Raises:
        InputError: It is damaged.
    """
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        message = f"the saved state is damaged ({error}); restore it, or delete it to load from the start"
        raise InputError(message, source=str(path)) from None


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, even after a power cut."""
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

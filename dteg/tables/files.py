"""Files on their way into a table and out of it, as the command line knows them: standard input and output too."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dteg.core.errors import ConfigError, InputError
from dteg.tables.loading import Source

STDIN = "-"
_COPY_BYTES = 1 << 20


@contextlib.contextmanager
def as_source(file: str, format_: str | None) -> Iterator[Source]:
    """Yield the file that `create` reads; standard input is kept in a temporary one, because types need all of it.

    Raises:
        ConfigError: Standard input, and nobody said its format.
        InputError: Standard input is empty.
    """
    if file != STDIN:
        yield Source(Path.cwd(), file)
        return
    if format_ is None:
        raise ConfigError("say the format of standard input, such as: dteg create - TABLE csv")
    with tempfile.TemporaryDirectory(prefix="dteg-") as folder:
        path = Path(folder) / f"stdin.{format_}"
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy, _COPY_BYTES)
        if not path.stat().st_size:
            raise InputError("nothing came", source="standard input")
        yield Source(Path(folder), path.name)


def write_file(path: Path, parts: Iterator[bytes], *, overwrite: bool) -> int:
    """Write a file that appears only when it is whole; return its size (bytes).

    Raises:
        ConfigError: It is there already, or cannot be written there.
    """
    is_device = path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",))  # /dev/stdout may be a file
    if is_device or (path.exists() and not (path.is_file() or path.is_dir())):
        raise ConfigError(f"{path} is no file but a device or a pipe; write -o -, and send that on: > or |")
    if path.is_file() and not overwrite:
        raise ConfigError(f"{path} is there already; add --overwrite, or name another file with -o")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")  # of this process: two may write at once
    try:
        with _writable(path, partial) as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return size


@contextlib.contextmanager
def _writable(path: Path, partial: Path) -> Iterator[BinaryIO]:
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"{path} cannot be written: " + ("it is a folder" if path.is_dir() else "there is no such folder")
        )
    with partial.open("wb") as file:
        yield file


def write_stream(stream: BinaryIO, parts: Iterator[bytes]) -> None:
    """Write to standard output."""
    stream.writelines(parts)
    stream.flush()

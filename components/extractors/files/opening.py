"""Opens a file, plain or packed, as a stream of bytes whose errors are ours."""

import gzip
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from dteg.core.errors import InputError

PACKED_SUFFIXES = (".gz", ".zip")


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Translate the errors of files and archives into InputError with `source`."""
    try:
        yield
    except EOFError:
        raise InputError(
            "the archive ends too early: it is truncated; copy it again", source=source
        ) from None
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"the archive is damaged or truncated: {error}", source=source) from None
    except (NotImplementedError, RuntimeError) as error:
        # zipfile raises these for unknown methods and for passwords.
        raise InputError(f"the archive cannot be unpacked: {error}", source=source) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=source) from None


@contextmanager
def open_bytes(path: Path, source: str, member: str | None = None) -> Iterator[BinaryIO]:
    """Open a file; `.gz` and `.zip`, seen by the name in `source`, are unpacked while reading.

    Raises:
        InputError: Missing, unreadable, not the archive its name says, or several members and none chosen.
    """
    name = source.lower().split("?", 1)[0]
    with ExitStack() as stack:
        with reading(source):
            raw = stack.enter_context(path.open("rb"))
            opened: BinaryIO = raw
            if name.endswith(".gz"):
                opened = cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw)))
            elif name.endswith(".zip"):
                archive = stack.enter_context(zipfile.ZipFile(raw))
                chosen = archive.open(_choose_member(archive, source, member))
                opened = cast("BinaryIO", stack.enter_context(chosen))
        yield opened


def _choose_member(archive: zipfile.ZipFile, source: str, member: str | None) -> str:
    names = [
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if member is not None:
        if member not in names:
            raise InputError(f"has no member {member!r}; it holds: {_some(names)}", source=source)
        return member
    if len(names) != 1:
        raise InputError(f"holds {len(names)} files; choose one with `member`: {_some(names)}", source=source)
    return names[0]


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") or "nothing"


@contextmanager
def open_seekable(path: Path, source: str, member: str | None = None) -> Iterator[Path]:
    """Give the path of the file itself, or of an unpacked temporary copy."""
    if not source.lower().split("?", 1)[0].endswith(PACKED_SUFFIXES):
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="dteg-") as copy:
        with open_bytes(path, source, member) as packed, reading(source):
            shutil.copyfileobj(packed, copy, 1 << 20)
        copy.flush()
        yield Path(copy.name)

"""Files that are there whole or not at all, and only for their owner."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from registry.identifiers import new_id


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of another one at the end; after an error that one is as it was.

    The disk is not waited for: it is for what can be made again.

    Raises:
        OSError: The folder cannot be written.
    """
    part = path.with_name(f"{path.name}.{new_id()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

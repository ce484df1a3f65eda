"""The dump on its way into pg_restore: a file that is filled while the database is made, or a pipe.

Several jobs of pg_restore need a file. It has no name, so nobody else can open it and it is gone with this process.
"""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO

from dteg.backups.archive import ArchiveReader, Look

_MAX_JOBS = 4
_FREE_BYTES = 512 << 20
# A source that hangs must not keep a failed restore from ending; its thread dies with the process.
_JOIN_S = 5.0


class Spool:
    """A dump that goes into a file, in a thread of its own from now on.

    Args:
        pieces: The dump.
        file: Where it goes; closed with this.
        jobs: How many jobs of pg_restore shall read it.
    """

    def __init__(self, pieces: Generator[bytes, None, None], file: IO[bytes], jobs: int) -> None:
        self._pieces, self._file, self.jobs = pieces, file, jobs
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def descriptor(self) -> int:
        """Wait until the dump is whole and return the open file; raise what reading it raised."""
        self._thread.join()
        if self._error:
            raise self._error
        return self._file.fileno()

    def close(self) -> None:
        """Give its room back; give up if it is not whole yet."""
        self._stopped.set()
        self._thread.join(_JOIN_S)
        self._file.close()

    def _run(self) -> None:
        try:
            with contextlib.closing(self._pieces):
                self._fill()
        except BaseException as error:  # noqa: BLE001 - crosses to the thread that waits
            self._error = error

    def _fill(self) -> None:
        reader = ArchiveReader(Look.PLACES)
        for piece in self._pieces:
            if self._stopped.is_set():
                return
            self._file.write(piece)
            reader.feed(piece)
        reader.finish()
        for place, data in reader.places():
            self._file.seek(place)
            self._file.write(data)
        self._file.flush()
        self._file.seek(0)


@contextlib.contextmanager
def spooled(
    pieces: Generator[bytes, None, None], scratch: Path, expected: int, jobs: int
) -> Iterator[Spool | None]:
    """Begin to fill a file if several jobs shall read it and there is room; else yield None and leave the dump alone.

    Args:
        pieces: The dump.
        scratch: Folder for the file.
        expected: Size of the dump in bytes.
        jobs: Parallel jobs of pg_restore; 0 for as many as there are cores.
    """
    jobs = jobs or min(os.cpu_count() or 1, _MAX_JOBS)
    fits = shutil.disk_usage(scratch).free > expected + _FREE_BYTES
    if jobs == 1 or not fits or not Path("/proc/self/fd").is_dir():
        yield None
        return
    with contextlib.closing(Spool(pieces, tempfile.TemporaryFile(dir=scratch), jobs)) as spool:
        yield spool

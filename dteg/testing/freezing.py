"""Servers that stop answering: their processes are held (SIGSTOP), while the kernel goes on accepting connections.

That is the worst a network can do: no refusal and no end of the connection, only silence.
"""

import atexit
import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit


@contextlib.contextmanager
def frozen(url: str) -> Iterator[None]:
    """Hold all processes of the server behind a URL for the block; they go on at its end, whatever happens in it.

    Args:
        url: Of a PostgreSQL, MariaDB or MySQL server on this machine, as a user who may ask for its process.
    """
    held = [server_pid(url)]
    held += _children(held[0])
    atexit.register(_go_on, held)  # also if the test run is interrupted within the block
    try:
        for pid in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        _go_on(held)
        atexit.unregister(_go_on)


def server_pid(url: str) -> int:
    """Return the id of the main process of the server behind a URL: its file says it, where the server says it lies."""
    if urlsplit(url).scheme.startswith("postgres"):
        import psycopg

        with psycopg.connect(url) as connection:
            (folder,) = connection.execute("SELECT current_setting('data_directory')").fetchone() or ("",)
        return int((Path(folder) / "postmaster.pid").read_text().split()[0])
    import pymysql

    parts = urlsplit(url)
    with (
        contextlib.closing(
            pymysql.connect(
                host=parts.hostname,
                port=parts.port or 3306,
                user=parts.username,
                password=parts.password or "",
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT @@datadir, @@pid_file")
        folder, file = cursor.fetchone()
    return int((Path(folder) / file).read_text())


def _children(pid: int) -> list[int]:
    """Return the processes that a server has started, such as one for each connection."""
    if not Path("/proc/self/task").is_dir():
        import psutil  # not on Linux, where /proc tells

        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(each) for each in (task / "children").read_text().split()]
    return found


def _go_on(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

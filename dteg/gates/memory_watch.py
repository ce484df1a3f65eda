"""Watches from outside how much memory a tree of processes uses.

RLIMIT_AS holds for each process by itself: five children of 300 MB pass under a limit of 800 MB. Where there is no
writable cgroup v2, this thread adds up the whole tree and kills it above the limit. What counts is PSS (shared pages
count once) and what lies in anonymous files (memfd), which belongs to no process's resident memory.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

INTERVAL_S = 0.05
MIN_AVAILABLE = 256 << 20
"""Below so much free memory of the machine (bytes) the tree is killed, whatever it seems to use."""


class MemoryWatch:
    """One thread that looks every 50 ms; use it as a context manager."""

    kind = "pss of the tree, every 50 ms"

    def __init__(self, root: int, limit: int, kill: Callable[[], None]) -> None:
        """Watch a tree.

        Args:
            root: Process id of its root.
            limit: Memory of the whole tree (bytes).
            kill: Called once above the limit.
        """
        self.peak, self.reason = 0, ""
        self._root, self._limit, self._kill = root, limit, kill
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            used = sum(map(_memory_of, tree(self._root)))
            self.peak = max(self.peak, used)
            if used > self._limit:
                self.reason = f"used more than {self._limit >> 20} MiB of memory in all its processes"
            elif _available() < MIN_AVAILABLE:
                self.reason = "the machine ran out of memory while it ran"
            if self.reason:
                self._kill()
                return
            # Looking at many processes takes long: never more than a quarter of one core.
            self._stop.wait(max(INTERVAL_S, 3 * (time.monotonic() - started)))


def tree(root: int) -> list[int]:
    """Return the ids of a process and all below it."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                children = (task / "children").read_text(encoding="ascii")
                waiting += [int(child) for child in children.split()]
    return found


def kill_tree(root: int) -> None:
    """Kill a process and all below it; safe to call for a tree that has ended, as long as it was not waited for."""
    for pid in tree(root):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _memory_of(pid: int) -> int:
    return _pss(pid) + _anonymous_files(pid)


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # ended meanwhile, or not ours to see: then its resident pages
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _anonymous_files(pid: int) -> int:
    """Return the size of memfd files; mapped parts count twice, which errs on the safe side."""
    total = 0
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(path.readlink()).startswith("/memfd:"):
                    total += path.stat().st_blocks * 512
    return total


def _available() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return MIN_AVAILABLE

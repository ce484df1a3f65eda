"""One command in a process of its own: wall time, CPU of its process tree, and its memory."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from benchmarks.environments import UnavailableError, reason

SAMPLE_S = 0.02
TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Measurement:
    """What one run took.

    Attributes:
        wall_s: From start to exit, start-up included.
        cpu_s: User and system time of the process and its children; not of the server.
        rss_mb: Peak of the sum over the process tree; pages that they share count twice.
        load: Load of the machine just before.
        output: What it printed.
    """

    wall_s: float
    cpu_s: float
    rss_mb: float
    load: float
    output: str = ""


class _Watch(threading.Thread):
    """Sums the memory of a process tree again and again."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._process = psutil.Process(pid)
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.is_set():
            self.peak = max(self.peak, self._sum())
            self._done.wait(SAMPLE_S)

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _sum(self) -> int:
        total = 0
        try:
            tree = [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return 0
        for process in tree:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total


def measure(command: Sequence[str], env: Mapping[str, str]) -> Measurement:
    """Run a command to its end.

    Raises:
        UnavailableError: It failed or did not end.
    """
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            start_new_session=True,
        )  # fmt: skip
        watch = _Watch(process.pid)
        watch.start()
        timer = threading.Timer(TIMEOUT_S, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - started
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
            watch.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        output, errors = out.read(), err.read()
    if process.returncode != 0:
        raise UnavailableError(f"failed with exit code {process.returncode}: {reason(errors or output)}")
    # ru_maxrss is of no use here: a child starts with the memory of the process that forked it.
    return Measurement(wall, usage.ru_utime + usage.ru_stime, watch.peak / 2**20, load, output)

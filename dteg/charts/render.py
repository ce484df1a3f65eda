"""Pictures of charts, made by another process that is kept for a while: the first one takes seconds, the others not."""

import atexit
import base64
import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from typing import Any

from dteg.core.errors import DtegError, EnvironmentProblemError, MissingExtraError, TransientError

TIMEOUT_S = 30.0
IDLE_S = 120.0
_LINE = 64_000_000


class Painter:
    """Makes pictures one after the other; starts its process when asked, and ends it when nobody asks any more.

    Args:
        timeout_s: Seconds for one picture; a process that takes longer is killed.
        idle_s: Seconds after which an unused process ends.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S, idle_s: float = IDLE_S) -> None:
        self._timeout_s, self._idle_s = timeout_s, idle_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._used_at = 0.0
        self._watch: threading.Timer | None = None

    def png(self, spec: dict[str, Any], scale: float = 2.0) -> bytes:
        """Return a specification with its data as a PNG.

        Args:
            spec: Vega-Lite with `width` and `height` in pixels.
            scale: Pixels of the picture for each pixel of the specification.

        Raises:
            DtegError: It cannot be drawn.
            MissingExtraError: The library is not installed.
            TransientError: It takes longer than the time for one picture.
        """
        return self._ask({"format": "png", "spec": spec, "scale": scale})

    def svg(self, spec: dict[str, Any]) -> str:
        """Return a specification with its data as an SVG; errors as those of `png`."""
        return self._ask({"format": "svg", "spec": spec, "scale": 1.0}).decode()

    def svg_png(self, svg: str, scale: float = 2.0) -> bytes:
        """Return an SVG that was made here as a PNG."""
        return self._ask({"format": "svg_to_png", "svg": svg, "scale": scale})

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, order: dict[str, Any]) -> bytes:
        line = json.dumps(order).encode() + b"\n"
        if len(line) > _LINE:
            raise DtegError("there is too much data for one picture")
        with self._lock:
            process = self._running()
            answer = self._answer(process, line)
            self._used_at = time.monotonic()
        if error := answer.get("error"):
            if error == "missing":
                raise MissingExtraError("datasets", "making pictures of charts")
            raise DtegError(f"the chart cannot be drawn: {error}")
        return base64.b64decode(answer["ok"])

    def _answer(self, process: subprocess.Popen[bytes], line: bytes) -> dict[str, Any]:
        """Send one order and wait for its answer, in a thread: pipes know no time limit."""
        answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()

        def talk() -> None:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError, ValueError):
                process.stdin.write(line)
                process.stdin.flush()
                answers.put(process.stdout.readline())
                return
            answers.put(b"")

        threading.Thread(target=talk, name="painter", daemon=True).start()
        try:
            text = answers.get(timeout=self._timeout_s)
        except queue.Empty:
            self._end()
            raise TransientError(
                f"the picture was not ready within {self._timeout_s:g} s", component="charts"
            ) from None
        if not text:
            self._end()
            raise TransientError("the program that makes pictures ended; try again", component="charts")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dteg.charts.painter"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            raise EnvironmentProblemError(f"pictures cannot be made: {error.strerror}") from None
        self._watch_idle()
        return self._process

    def _watch_idle(self) -> None:
        timer = threading.Timer(self._idle_s, self._end_if_idle)
        timer.daemon = True
        self._watch = timer
        timer.start()

    def _end_if_idle(self) -> None:
        with self._lock:
            if self._process is None:
                return
            if time.monotonic() - self._used_at >= self._idle_s:
                self._end()
            else:
                self._watch_idle()

    def _end(self) -> None:
        process, self._process = self._process, None
        if self._watch is not None:
            self._watch.cancel()
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


_shared: Painter | None = None
_shared_lock = threading.Lock()


def painter() -> Painter:
    """Return the one of this process, which ends with it."""
    global _shared  # noqa: PLW0603 - one JavaScript engine is enough for a process
    with _shared_lock:
        if _shared is None:
            _shared = Painter()
            atexit.register(_shared.close)
        return _shared

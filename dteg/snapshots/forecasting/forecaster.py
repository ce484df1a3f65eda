"""The worker that forecasts, as this process sees it: started when first needed, kept warm, never waited for forever.

statsforecast needs numpy and pandas, which the environment of dteg does without: with them, pyarrow would import them
at every start. So the worker runs on a Python of its own (`.ci/bootstrap forecast`).
"""

import atexit
import contextlib
import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from dteg.core.errors import EnvironmentProblemError, TransientError
from dteg.core.project import Project
from dteg.snapshots.forecasting.naive import naive_forecast

PYTHON_VARIABLE = "DTEG_FORECAST_PYTHON"
WORKER = Path(__file__).with_name("worker.py")
START_TIMEOUT_S = 120.0
SERIES_TIMEOUT_S = 60.0
IDLE_S = 120.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
HOW_TO_GET = (
    f"in a checkout run: .ci/bootstrap forecast; elsewhere install dteg[forecast] into an environment of its own and "
    f"set {PYTHON_VARIABLE} to its Python"
)


class Order(NamedTuple):
    """What is to be forecast.

    Attributes:
        values: Evenly spaced, without gaps, oldest first; at least 8.
        season: Points of one period; 1 for none.
        horizon: Times ahead.
    """

    values: list[float]
    season: int
    horizon: int


def find_python(project: Project | None = None) -> Path | None:
    """Return the Python that has statsforecast; None if there is none.

    Looked for at `DTEG_FORECAST_PYTHON`, in `.dteg/forecast` of the project, of the current folder and of the checkout,
    and at last the Python that runs this.

    Raises:
        EnvironmentProblemError: The variable names something that is no program.
    """
    if given := os.environ.get(PYTHON_VARIABLE):
        if os.access(given, os.X_OK) and Path(given).is_file():
            return Path(given)
        raise EnvironmentProblemError(f"{PYTHON_VARIABLE}={given} is not a program")
    roots = [*([project.root] if project else []), Path.cwd(), Path(__file__).parents[3]]
    for root in roots:
        python = root / ".dteg" / "forecast" / "bin" / "python"
        if os.access(python, os.X_OK):
            return python
    return Path(sys.executable) if _installed_here() else None


class Forecaster:
    """Forecasts batches of series; use it in a `with`, or close it.

    Args:
        python: The Python that has statsforecast; None forecasts seasonally naive in this process.
    """

    def __init__(self, python: Path | None) -> None:
        self.python = python
        self._idle_s = IDLE_S
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self._timer: threading.Timer | None = None
        _open.add(self)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the worker."""
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the worker, if it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def forecast(self, orders: Sequence[Order]) -> list[dict[str, Any]]:
        """Forecast series; one that fails there is forecast seasonally naive, with `problem`.

        Raises:
            TransientError: The worker died or took too long.
            EnvironmentProblemError: It cannot start.
        """
        if not orders:
            return []
        if self.python is None:
            return [naive_forecast(*order) for order in orders]
        with self._lock:
            self._stop_timer()
            try:
                answers = self._ask(orders)
            except BaseException:
                self._end()
                raise
            self._start_timer()
        return [_result(order, answer) for order, answer in zip(orders, answers, strict=True)]

    def close(self) -> None:
        """End the worker."""
        with self._lock:
            self._stop_timer()
            self._end()

    def _ask(self, orders: Sequence[Order]) -> list[dict[str, Any]]:
        if self.pid is None:
            self._start()
        assert self._process is not None
        line = json.dumps({"series": [order._asdict() for order in orders]}, allow_nan=False)
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer that does not come tells more
            stdin.write(f"{line}\n")
            stdin.flush()
        return [json.loads(self._line(SERIES_TIMEOUT_S)) for _ in orders]

    def _start(self) -> None:
        assert self.python is not None
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [str(self.python), "-I", str(WORKER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
            # Nothing of this environment: no paths of this Python, no secrets.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **dict.fromkeys(_THREADS, "1")},
            # It ends with this process all the same: then its input ends. (The kernel's "ends with its parent" means the
            # thread that started it, and threads of a pool come and go.)
            cwd=WORKER.parent, start_new_session=True,
        )  # fmt: skip
        reader = threading.Thread(
            target=_read, args=(self._process.stdout, self._lines), name="forecast-worker", daemon=True
        )
        reader.start()
        try:
            self._line(START_TIMEOUT_S)
        except TransientError:
            code = self._process.poll()
            raise EnvironmentProblemError(
                f"{self.python} does not start to forecast (exit code {code}): is statsforecast installed there? {HOW_TO_GET}"
            ) from None

    def _line(self, timeout_s: float) -> str:
        """Return the next line of the worker."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=min(left, 1.0))
            except queue.Empty:
                continue
            if not line:
                raise TransientError("the process that forecasts has ended; try again")
            return line
        raise TransientError(f"the process that forecasts does not answer within {timeout_s:.0f} s")

    def _start_timer(self) -> None:
        self._timer = threading.Timer(self._idle_s, self._end_idle)
        self._timer.daemon = True
        self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_idle(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


_open: "weakref.WeakSet[Forecaster]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """End the workers that nobody has closed."""
    for forecaster in list(_open):
        forecaster.close()


@cache
def _installed_here() -> bool:
    return importlib.util.find_spec("statsforecast") is not None


def _read(stream: IO[str] | None, lines: "queue.Queue[str]") -> None:
    assert stream is not None
    with stream:
        for line in stream:
            lines.put(line)
    lines.put("")


def _result(order: Order, answer: dict[str, Any]) -> dict[str, Any]:
    if "result" in answer:
        made: dict[str, Any] = answer["result"]
        return made
    return {**naive_forecast(*order), "problem": str(answer.get("error", ""))[:500]}

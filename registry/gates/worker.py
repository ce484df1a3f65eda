"""Gate workers: processes of their own, as what they run is slow and not ours."""

import asyncio
import contextlib
import logging
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator

from pymongo.errors import PyMongoError

from dteg.core.errors import DtegError
from registry.services import Services
from registry.settings import RegistrySettings

_LOG = logging.getLogger(__name__)
_IDLE_S = 1.0
_PLAN_EVERY_S = 900.0
_AFTER_ERROR_S = 5.0
_STOP_S = 10.0
# Set for workers that a server has started: they end when it does.
BESIDE_SERVER = "DTEG_REGISTRY_IS_GATE_WORKER"


async def work(settings: RegistrySettings, *, once: bool = False) -> None:
    """Run gates until cancelled.

    Args:
        settings: What the registry was told.
        once: End when there is nothing to do.

    Raises:
        DtegError: With `once`: the database does not answer.
    """
    services = Services(settings)
    name = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"
    planned: float | None = None
    try:
        while True:
            try:
                if not services.prepared:
                    await services.prepare()
                now = asyncio.get_running_loop().time()
                if planned is None or now - planned > _PLAN_EVERY_S:
                    await services.gates.plan()
                    planned = now
                if await services.gates.run_next(name):
                    continue
                if once:
                    return
                await services.jobs.sweep()
                await asyncio.sleep(_IDLE_S)
            except (PyMongoError, DtegError) as error:
                if once:
                    raise
                _LOG.warning("gate worker: %s", error)
                await asyncio.sleep(_AFTER_ERROR_S)
    finally:
        await services.database.close()


@contextlib.contextmanager
def worker_processes(count: int) -> Iterator[None]:
    """Keep that many workers running; settings come from the environment. One that dies is replaced."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_keep_one, args=(stop,), name=f"gates-{number}") for number in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _keep_one(stop: threading.Event) -> None:
    while not stop.is_set():
        process = subprocess.Popen(
            [sys.executable, "-m", "registry", "worker"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, BESIDE_SERVER: "1"},
        )
        while process.poll() is None and not stop.wait(0.2):
            pass
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        else:
            _LOG.warning("a gate worker ended with %s; starting another one", process.returncode)
            stop.wait(_AFTER_ERROR_S)

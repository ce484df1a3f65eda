"""A registry, or a gate worker, as a process that kills itself (SIGKILL) at a given write.

`python -m tests.faults.registry.child server PORT POINT` serves; POINT is `N-before` or `N-after` for the N-th write
that a publish makes, files and documents counted together, or `none`. `... worker GATE` takes one job and kills itself
in the middle of a gate. Settings come from the environment.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from pymongo.asynchronous.collection import AsyncCollection

from registry.app import create_app
from registry.blobs.disk import DiskBlobs
from registry.releases.service import Releases
from registry.services import Services
from registry.settings import RegistrySettings
from tests.integration.registry.publishing import KnownProver

WRITES = ("insert_one", "update_one", "update_many", "find_one_and_update", "replace_one")


class Bomb:
    """Counts writes once a publish has begun, and ends the process at one of them."""

    def __init__(self, point: str) -> None:
        number, _, self.moment = point.partition("-")
        self.number = int(number) if number.isdigit() else 0
        self.armed = False
        self.count = 0

    def plant(self) -> None:
        publish = Releases.publish

        async def armed(service: Releases, *arguments: Any) -> Any:
            self.armed = True
            try:
                return await publish(service, *arguments)
            finally:
                self.tell()

        Releases.publish = armed  # type: ignore[method-assign]
        for name in WRITES:
            setattr(AsyncCollection, name, self.around(getattr(AsyncCollection, name)))
        place = DiskBlobs._place

        def placed(store: DiskBlobs, file: Any) -> None:
            self.strike("before", counted=True)
            place(store, file)
            self.strike("after")

        DiskBlobs._place = placed  # type: ignore[method-assign]

    def tell(self) -> None:
        Path(os.environ["DTEG_TEST_WRITES"]).write_text(str(self.count))
        self.armed, self.count = False, 0

    def around(self, write: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(collection: Any, *arguments: Any, **options: Any) -> Any:
            if collection.name in {"rate", "tokens", "sessions"}:
                return await write(collection, *arguments, **options)
            self.strike("before", counted=True)
            result = await write(collection, *arguments, **options)
            self.strike("after")
            return result

        return wrapped

    def strike(self, moment: str, *, counted: bool = False) -> None:
        if self.armed:
            self.count += counted
            if self.count == self.number and moment == self.moment:
                os.kill(os.getpid(), signal.SIGKILL)


def serve(port: int, point: str) -> None:
    Bomb(point).plant()
    settings = RegistrySettings.from_environment()
    uvicorn.run(create_app(settings), host="127.0.0.1", port=port, log_level="warning", ws="none")


async def work(gate: str) -> None:
    """Take a job with a lease of two seconds and die when `gate` begins."""

    def before(name: str) -> None:
        if name == gate:
            os.kill(os.getpid(), signal.SIGKILL)

    services = Services(RegistrySettings.from_environment())
    await services.prepare()
    services.gates.prover = KnownProver(before=before)
    await services.gates.run_next("killed", lease_s=2)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(int(sys.argv[2]), sys.argv[3])
    else:
        asyncio.run(work(sys.argv[2]))

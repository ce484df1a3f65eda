"""Work for a client that may go away: closed the page, pressed stop, or ran out of patience."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from dteg.core.stopping import Stopper

ResultT = TypeVar("ResultT")
_AGAIN_S = 0.25


async def while_wanted(request: Request, work: Callable[[], ResultT]) -> ResultT:
    """Run blocking work in a thread; once its client has gone, the queries of it are cancelled at the server.

    Args:
        request: The request, with its body read.
        work: Reads only: it may be given up at any point.
    """
    stopper = Stopper()

    def run() -> ResultT:
        with stopper.working():
            return work()

    working = asyncio.ensure_future(run_in_threadpool(run))
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        while not working.done():
            await asyncio.to_thread(stopper.stop)
            await asyncio.wait({working}, timeout=_AGAIN_S)
        return await working
    finally:
        leaving.cancel()
        if not working.done():  # the studio stops
            await asyncio.to_thread(stopper.stop)


async def _left(request: Request) -> None:
    """Return once the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass

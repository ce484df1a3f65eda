"""Several questions to the database at once: what waits for one answer after the other waits several times as long."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
Work = Coroutine[Any, Any, A]


@overload
async def together(first: Work[A], second: Work[B], /) -> tuple[A, B]: ...
@overload
async def together(first: Work[A], second: Work[B], third: Work[C], /) -> tuple[A, B, C]: ...
async def together(*work: Work[Any]) -> tuple[Any, ...]:
    """Do several things at once and return what each gives, in their order.

    Raises:
        Exception: What the first of them that failed has raised, first in their order; when all have ended.
    """
    found = await asyncio.gather(*work, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return tuple(found)

"""Processes that wait for each other; here as tasks, as a file that is opened twice is locked twice."""

import asyncio

import pytest

from registry.turns import turn

pytestmark = pytest.mark.unit


def test_one_waits_until_the_other_is_done(tmp_path):
    order = []

    async def work(name: str) -> None:
        async with turn(tmp_path / "folder" / "lock", patience_s=10) as held:
            order.append(f"{name} begins")
            await asyncio.sleep(0.02)
            order.append(f"{name} ends")
            assert held

    async def both() -> None:
        await asyncio.gather(work("one"), work("two"))

    asyncio.run(both())
    assert order == ["one begins", "one ends", "two begins", "two ends"]


def test_nobody_waits_for_ever_and_a_failure_lets_go(tmp_path):
    async def impatient() -> bool:
        async with turn(tmp_path / "lock", patience_s=0.1) as held:
            return held

    async def failing() -> bool:
        async with turn(tmp_path / "lock", patience_s=0):
            without = await impatient()
            assert not without
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(failing())
    assert asyncio.run(impatient())

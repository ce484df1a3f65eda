import asyncio

import pytest

from registry.together import together


async def after(waits, value, ended):
    for _ in range(waits):
        await asyncio.sleep(0)
    ended.append(value)
    if isinstance(value, Exception):
        raise value
    return value


def test_results_come_in_the_order_asked_for():
    assert asyncio.run(together(after(5, "slow", []), after(0, "fast", []))) == ("slow", "fast")


def test_the_first_failure_in_order_is_raised_when_all_have_ended():
    ended = []
    work = (
        after(3, KeyError("first"), ended),
        after(0, ValueError("second"), ended),
        after(9, "last", ended),
    )

    async def run():
        await together(*work)

    with pytest.raises(KeyError, match="first"):
        asyncio.run(run())
    assert len(ended) == 3

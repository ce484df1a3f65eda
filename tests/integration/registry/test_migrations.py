import asyncio

import pytest

from dteg.core.errors import ConfigError
from registry.migrations import migrate
from registry.services import Services

pytestmark = pytest.mark.integration


async def add_colour(database):
    await database["things"].update_many({"colour": {"$exists": False}}, {"$set": {"colour": "red"}})


async def double_size(database):
    await database["things"].update_many(
        {"doubled": {"$ne": True}}, {"$mul": {"size": 2}, "$set": {"doubled": True}}
    )


STEPS = (add_colour, double_size)


@pytest.fixture
def database(registry):
    async def empty():
        await registry.services.database.drop()

    registry.run(empty())
    return registry.services.database


def test_a_fresh_database_is_new_already(registry, database):
    async def story():
        assert await migrate(database, registry.clock, STEPS) == 2
        await database["things"].insert_one({"_id": 1, "size": 3})
        assert await migrate(database, registry.clock, STEPS) == 2
        return await database["things"].find_one({})

    assert registry.run(story()) == {"_id": 1, "size": 3}


def test_old_documents_are_changed_once_also_by_several_processes(registry, database):
    async def story():
        await database["things"].insert_one({"_id": 1, "size": 3})
        others = [Services(registry.settings).database for _ in range(4)]
        await asyncio.gather(*(migrate(each, registry.clock, STEPS) for each in others))
        for each in others:
            await each.close()
        return await database["things"].find_one({}), await database["meta"].find_one({})

    thing, meta = registry.run(story())
    assert thing == {"_id": 1, "size": 6, "colour": "red", "doubled": True}
    assert meta["version"] == 2


def test_a_step_that_failed_is_done_at_the_next_start(registry, database):
    async def fails(_):
        raise RuntimeError("cut off")

    async def story():
        await database["things"].insert_one({"_id": 1, "size": 3})
        with pytest.raises(RuntimeError):
            await migrate(database, registry.clock, (add_colour, fails))
        assert (await database["meta"].find_one({}))["version"] == 1
        assert await migrate(database, registry.clock, STEPS) == 2
        return await database["things"].find_one({})

    assert registry.run(story())["size"] == 6


def test_a_database_of_a_newer_version_is_left_alone(registry, database):
    async def story():
        await migrate(database, registry.clock, STEPS)
        await migrate(database, registry.clock, ())

    with pytest.raises(ConfigError, match="newer dteg"):
        registry.run(story())

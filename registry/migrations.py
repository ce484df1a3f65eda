"""Changes to what is already stored, in order; each may run twice, or by two processes at once, without harm."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError

from dteg.core.clock import Clock
from dteg.core.errors import ConfigError, UnavailableError
from registry.database import CONNECTION_ERRORS, Database

Migration = Callable[[Database], Awaitable[None]]
COLLECTION = "meta"
RESTORING = "restore"  # the id of a document that is there while a backup is being restored
_KEY = {"_id": "schema"}

# The version of a database is the number of migrations it has seen; append, never reorder or remove.
MIGRATIONS: Sequence[Migration] = ()


async def migrate(database: Database, clock: Clock, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring a database to this version and return its number.

    Raises:
        ConfigError: A newer version has written it.
        UnavailableError: The server does not answer.
    """
    try:
        return await _migrate(database, clock, migrations)
    except CONNECTION_ERRORS:
        raise UnavailableError(
            "MongoDB does not answer; is DTEG_MONGODB_URL right, and the server up?"
        ) from None


async def _migrate(database: Database, clock: Clock, migrations: Sequence[Migration]) -> int:
    meta = database[COLLECTION]
    version = await _version(database, len(migrations), clock)
    if version > len(migrations):
        raise ConfigError(
            f"this database was written by a newer dteg (schema {version}, this one knows {len(migrations)}): update dteg"
        )
    for number, step in enumerate(migrations[version:], start=version + 1):
        await step(database)
        # Guarded: of two processes that ran the same step one counts it.
        await meta.update_one(
            {**_KEY, "version": number - 1}, {"$set": {"version": number, "updated_at": clock()}}
        )
    return len(migrations)


async def _version(database: Database, newest: int, clock: Clock) -> int:
    if await database[COLLECTION].find_one({"_id": RESTORING}) is not None:
        raise ConfigError("a restore of this database was cut off: restore it again (dteg registry restore)")
    found: dict[str, Any] | None = await database[COLLECTION].find_one(_KEY)
    if found is None:
        # A fresh database needs no migration, one from before versions were kept needs all.
        start = newest if not await database.collections() else 0
        try:
            await database[COLLECTION].insert_one({**_KEY, "version": start, "updated_at": clock()})
        except DuplicateKeyError:
            return await _version(database, newest, clock)
        return start
    return int(found["version"])

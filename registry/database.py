"""The document store, opened once per process.

Rules that hold for every store (they are what makes a plain, unreplicated MongoDB enough): a uniqueness is a natural
key in `_id` or a plain unique index; a change of state is one guarded update of one document, with the expected state
in its filter; writes are ordered so that each prefix is safe and a reconciler can finish; nothing depends on TTL,
text indexes, collation, transactions or change streams.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    PyMongoError,
    WaitQueueTimeoutError,
)

from dteg.core.errors import UnavailableError

CONNECTION_ERRORS = (ConnectionFailure, ExecutionTimeout, NetworkTimeout, WaitQueueTimeoutError)
Collection = AsyncCollection[dict[str, Any]]
# How long a request waits for a server that is gone: long enough for a restart of the server's process to go unnoticed.
_FIND_SERVER_MS = 2_000
_TIMEOUT_MS = 10_000


class Database:
    """One registry's collections.

    Args:
        url: MongoDB connection string.
        name: Name of the database.
    """

    def __init__(self, url: str, name: str) -> None:
        self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
            url,
            tz_aware=True,
            serverSelectionTimeoutMS=_FIND_SERVER_MS,
            connectTimeoutMS=_FIND_SERVER_MS,
            socketTimeoutMS=_TIMEOUT_MS,
            waitQueueTimeoutMS=_TIMEOUT_MS,
            # Not `timeoutMS`: it would also be how long a request looks for a server that is gone.
            w="majority",
            journal=True,
            retryWrites=False,  # a standalone server knows no retryable writes
            appname="dteg-registry",
        )
        self._name = name

    def __getitem__(self, collection: str) -> Collection:
        """Return a collection."""
        return self._client[self._name][collection]

    async def prepare(self, indexes: Mapping[str, Iterable[IndexModel]]) -> None:
        """Create what is missing of the indexes, by collection. Safe to call by several processes at once.

        Raises:
            UnavailableError: The server does not answer.
        """
        try:
            for collection, wanted in indexes.items():
                if models := list(wanted):
                    await self[collection].create_indexes(models)
        except CONNECTION_ERRORS:
            raise UnavailableError(
                "MongoDB does not answer; is DTEG_MONGODB_URL right, and the server up?"
            ) from None

    async def answers(self) -> bool:
        """Return whether the server answers within the time limit."""
        try:
            await self._client.admin.command("ping")
        except PyMongoError:
            return False
        return True

    async def drop(self) -> None:
        """Delete the database: for tests, and before a restore."""
        await self._client.drop_database(self._name)

    async def collections(self) -> list[str]:
        """Return the names of the collections that exist."""
        return sorted(await self._client[self._name].list_collection_names())

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

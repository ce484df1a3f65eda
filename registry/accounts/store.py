"""The collections `users` and `login_failures`."""

from datetime import datetime, timedelta
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from dteg.core.errors import ConflictError
from registry.accounts.models import Account
from registry.database import Database

USERS = "users"
FAILURES = "login_failures"
MAILS = "account_mails"
INDEXES = {
    USERS: [
        IndexModel("login", unique=True),
        IndexModel("look", unique=True),
        IndexModel("email", unique=True),
    ],
    FAILURES: [IndexModel("expires_at")],
    MAILS: [IndexModel("next_at")],
}


class AccountStore:
    """Accounts by id, login and address."""

    def __init__(self, database: Database) -> None:
        self._users = database[USERS]
        self._failures = database[FAILURES]
        self._mails = database[MAILS]

    async def insert(self, account: Account) -> None:
        """Keep a new account.

        Raises:
            ConflictError: The login, one that looks like it, or the address is taken.
        """
        try:
            await self._users.insert_one(account.to_mongo())
        except DuplicateKeyError as error:
            if "email" in str((error.details or {}).get("keyPattern", error)):
                raise ConflictError("there is an account with this address: log in to it") from None
            raise ConflictError(
                f"the login {account.login!r}, or one that looks like it, is taken: choose another"
            ) from None

    async def find(self, **values: str) -> Account | None:
        """Return the account with these values."""
        found = await self._users.find_one({_FIELDS[name]: value for name, value in values.items()})
        return Account.from_mongo(found) if found else None

    async def any_admin(self) -> bool:
        """Return whether somebody administers the registry."""
        return await self._users.find_one({"is_admin": True, "status": "active"}, {"_id": 1}) is not None

    async def logins(self, ids: list[str]) -> dict[str, str]:
        """Return the login of each id that exists."""
        cursor = self._users.find({"_id": {"$in": ids}}, {"login": 1})
        return {document["_id"]: document["login"] async for document in cursor}

    async def change(
        self, account: Account, values: dict[str, Any], *, end_logins: bool, same_email: bool = False
    ) -> Account:
        """Set values of an account that nobody has changed meanwhile.

        Args:
            account: As it was seen.
            values: What to set.
            end_logins: Whether all logins of it end.
            same_email: Whether it must still have the address that was seen.

        Raises:
            ConflictError: It was changed or deleted meanwhile, or the new address is taken.
        """
        version = account.credentials_version
        guard: dict[str, Any] = {"_id": account.id, "status": "active", "credentials_version": version}
        if same_email:
            guard["email"] = account.email
        change = {"$set": {**values, "credentials_version": version + end_logins}}
        try:
            found = await self._users.find_one_and_update(guard, change, return_document=ReturnDocument.AFTER)
        except DuplicateKeyError:
            raise ConflictError("another account has this address") from None
        if found is None:
            raise ConflictError("the account was changed meanwhile: try again")
        return Account.from_mongo(found)

    async def failures(self, key: str, now: datetime) -> tuple[int, datetime | None]:
        """Return how often a login has failed lately, and when the next try is allowed."""
        found = await self._failures.find_one({"_id": key, "expires_at": {"$gt": now}})
        return (found["count"], found["next_at"]) if found else (0, None)

    async def failed(self, key: str, now: datetime, keep: timedelta) -> int:
        """Count a failure and return how many there are."""
        await self._failures.delete_many({"_id": key, "expires_at": {"$lte": now}})
        found = await self._failures.find_one_and_update(
            {"_id": key}, {"$inc": {"count": 1}, "$set": {"expires_at": now + keep, "next_at": now}},
            upsert=True, return_document=ReturnDocument.AFTER,
        )  # fmt: skip
        if found is None:
            # The embedded server, when two make the document at once: it has counted, but does not answer.
            found = await self._failures.find_one({"_id": key})
        return int(found["count"]) if found else 1

    async def block(self, key: str, until: datetime) -> None:
        """Allow the next try at `until`."""
        await self._failures.update_one({"_id": key}, {"$max": {"next_at": until}})

    async def succeeded(self, key: str) -> None:
        """Forget the failures."""
        await self._failures.delete_one({"_id": key})

    async def may_mail(self, key: str, now: datetime, between: timedelta) -> bool:
        """Note that a mail is sent; False if one of this key was sent less than `between` ago."""
        try:
            await self._mails.update_one(
                {"_id": key, "next_at": {"$lte": now}}, {"$set": {"next_at": now + between}}, upsert=True
            )
        except DuplicateKeyError:
            return False
        return True

    async def sweep(self, now: datetime) -> None:
        """Delete failures that no longer count, and notes of mails of long ago."""
        await self._failures.delete_many({"expires_at": {"$lte": now}})
        await self._mails.delete_many({"next_at": {"$lte": now}})


_FIELDS = {"id": "_id", "login": "login", "email": "email", "look": "look"}

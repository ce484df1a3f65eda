"""The collections `tokens`, `sessions` and `revoked`."""

import contextlib
from datetime import datetime

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.tokens.models import Session, Token

TOKENS = "tokens"
SESSIONS = "sessions"
REVOKED = "revoked"
INDEXES = {
    TOKENS: [IndexModel("user_id"), IndexModel("expires_at")],
    SESSIONS: [IndexModel("user_id"), IndexModel("expires_at")],
    REVOKED: [IndexModel("expires_at")],
}


class TokenStore:
    """Credentials by id; none of them holds a secret."""

    def __init__(self, database: Database) -> None:
        self._tokens = database[TOKENS]
        self._sessions = database[SESSIONS]
        self._revoked = database[REVOKED]

    async def insert(self, token: Token) -> None:
        """Keep a new token."""
        await self._tokens.insert_one(token.to_mongo())

    async def find(self, token_id: str) -> Token | None:
        """Return a token, expired or not."""
        found = await self._tokens.find_one({"_id": token_id})
        return Token.from_mongo(found) if found else None

    async def of(self, user_id: str) -> list[Token]:
        """Return an account's tokens, the newest first."""
        cursor = self._tokens.find({"user_id": user_id}, sort=[("_id", -1)])
        return [Token.from_mongo(document) async for document in cursor]

    async def count(self, user_id: str) -> int:
        """Return how many tokens an account has."""
        return await self._tokens.count_documents({"user_id": user_id})

    async def used(self, token_id: str, now: datetime) -> None:
        """Note the use."""
        await self._tokens.update_one({"_id": token_id}, {"$max": {"last_used_at": now}})

    async def delete(self, token_id: str, user_id: str) -> bool:
        """Delete an account's token; return whether it was there."""
        return bool((await self._tokens.delete_one({"_id": token_id, "user_id": user_id})).deleted_count)

    async def insert_session(self, session: Session) -> None:
        """Keep a login of the pages."""
        await self._sessions.insert_one(session.to_mongo())

    async def session(self, session_id: str) -> Session | None:
        """Return a login of the pages, expired or not."""
        found = await self._sessions.find_one({"_id": session_id})
        return Session.from_mongo(found) if found else None

    async def delete_session(self, session_id: str) -> None:
        """End a login of the pages."""
        await self._sessions.delete_one({"_id": session_id})

    async def sessions_of(self, user_id: str) -> list[Session]:
        """Return an account's logins of the pages, the newest first."""
        cursor = self._sessions.find({"user_id": user_id}, sort=[("created_at", -1)])
        return [Session.from_mongo(document) async for document in cursor]

    async def delete_other_sessions(self, user_id: str, session_id: str) -> None:
        """End an account's logins of the pages except one."""
        await self._sessions.delete_many({"user_id": user_id, "_id": {"$ne": session_id}})

    async def remove_all(self, user_id: str) -> None:
        """Delete all credentials of an account."""
        await self._tokens.delete_many({"user_id": user_id})
        await self._sessions.delete_many({"user_id": user_id})

    async def revoke(self, jti: str, expires_at: datetime) -> None:
        """Refuse an access token from now until it ends by itself."""
        with contextlib.suppress(DuplicateKeyError):
            await self._revoked.insert_one({"_id": jti, "expires_at": expires_at})

    async def is_revoked(self, jti: str) -> bool:
        """Return whether an access token was ended early."""
        return await self._revoked.find_one({"_id": jti}) is not None

    async def sweep(self, now: datetime) -> None:
        """Delete what has ended; filters elsewhere compare the time, so this only saves space."""
        for collection in (self._tokens, self._sessions, self._revoked):
            await collection.delete_many({"expires_at": {"$lte": now}})

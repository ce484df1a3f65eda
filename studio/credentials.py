"""Tells who stands behind a request: the project's own token, another token, or the login of a browser."""

import asyncio
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable

from fastapi import Response
from starlette.requests import HTTPConnection

from dteg.core.errors import DeniedError
from dteg.core.project import Project
from dteg.tokens.local import local_token
from dteg.tokens.models import Scope, Token, with_included
from dteg.tokens.service import SESSION_LIFE, Tokens, hash_of
from studio.access import NOBODY, Principal
from studio.settings import StudioSettings

CODE_LIFE_S = 600.0
# A token that was revoked elsewhere is refused after this time at the latest.
REMEMBERED_S = 2.0
_REMEMBERED = 1_000
_WRONG = "the token is wrong, expired or revoked"
OWNER = Principal("owner", frozenset(Scope), credential="local")


class Credentials:
    """The credentials that one studio knows.

    Args:
        project: Whose token file counts.
        settings: For the name of the cookie: cookies of one address are shared by all its ports.
        tokens: The other tokens, and the logins.
    """

    def __init__(self, project: Project, settings: StudioSettings, tokens: Tokens) -> None:
        self._tokens = tokens
        self._local_hash = hash_of(local_token(project))
        self._codes: dict[str, float] = {}
        self._known: dict[str, tuple[float, Principal]] = {}
        self._lock = threading.Lock()
        self._secure = settings.url.startswith("https://")
        self.cookie = f"{'__Host-' if self._secure else ''}dteg_studio_{settings.port}"

    async def principal_of(self, connection: HTTPConnection) -> Principal:
        """Return who asks; NOBODY without credentials.

        Raises:
            DeniedError: The token is wrong, expired or revoked.
        """
        header = connection.headers.get("authorization", "")
        if header:
            kind, _, value = header.partition(" ")
            if kind.lower() != "bearer":
                raise DeniedError("send a token as: Authorization: Bearer TOKEN", authenticate=True)
            who = await asyncio.to_thread(self.by_token, value.strip())
            if not who.known:
                raise DeniedError(_WRONG, authenticate=True)
            return who
        cookie = connection.cookies.get(self.cookie, "")
        return await asyncio.to_thread(self.by_cookie, cookie) if cookie else NOBODY

    def by_token(self, secret: str) -> Principal:
        """Return who has a token; NOBODY if it is not good."""
        hashed = hash_of(secret)
        if hmac.compare_digest(hashed, self._local_hash):
            return OWNER
        return self._remembered(f"token {hashed}", lambda: _principal(self._tokens.find(secret)))

    def by_cookie(self, cookie: str) -> Principal:
        """Return who is logged in to the pages; NOBODY when that login has ended."""

        def ask() -> Principal:
            good, token = self._tokens.find_session(cookie)
            if not good:
                return NOBODY
            who = _principal(token) if token else OWNER
            return Principal(who.name, who.scopes, who.topics, who.credential, cookie, who.roles)

        return self._remembered(f"cookie {hash_of(cookie)}", ask)

    def make_code(self) -> str:
        """Return a code that logs one browser in once, as the owner."""
        code = secrets.token_urlsafe(24)
        now = time.monotonic()
        with self._lock:
            self._codes = {key: end for key, end in self._codes.items() if end > now}
            self._codes[hash_of(code)] = now + CODE_LIFE_S
        return code

    def use_code(self, code: str) -> bool:
        """Return whether a code is good; it is not any more afterwards."""
        with self._lock:
            end = self._codes.pop(hash_of(code), 0.0)
        return end > time.monotonic()

    def log_in(self, who: Principal) -> str:
        """Open a login of the pages and return the value of its cookie."""
        kind, _, token_id = who.credential.partition(":")
        return self._tokens.open_session(token_id if kind == "token" else None)

    def log_out(self, cookie: str) -> None:
        """End a login of the pages."""
        self._tokens.close_session(cookie)
        self.forget()

    def forget(self) -> None:
        """Ask the database again for everybody: a token was revoked here."""
        with self._lock:
            self._known.clear()

    def set_cookie(self, response: Response, value: str) -> None:
        """Put a login into an answer; an empty value removes it."""
        response.set_cookie(
            self.cookie, value, max_age=int(SESSION_LIFE.total_seconds()) if value else 0, path="/",
            secure=self._secure, httponly=True, samesite="lax",
        )  # fmt: skip

    def csrf_token(self, cookie: str) -> str:
        """Return what forms of a login carry; other sites cannot read it."""
        return hmac.new(cookie.encode(), b"csrf", hashlib.sha256).hexdigest()

    def check_csrf(self, cookie: str, given: str) -> None:
        """Refuse a form or request that does not come from our pages.

        Raises:
            DeniedError: The token is missing or of another login.
        """
        if not hmac.compare_digest(self.csrf_token(cookie).encode(), given.encode("utf-8", "replace")):
            raise DeniedError("this form is out of date: load the page again")

    def _remembered(self, key: str, ask: Callable[[], Principal]) -> Principal:
        now = time.monotonic()
        with self._lock:
            found = self._known.get(key)
        if found is not None and found[0] > now:
            return found[1]
        who = ask()
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            # Only good ones: else whoever guesses could fill the memory.
            if who.known:
                self._known[key] = (now + REMEMBERED_S, who)
        return who


def _principal(token: Token | None) -> Principal:
    if token is None:
        return NOBODY
    return Principal(
        token.name,
        with_included(token.scopes),
        frozenset(token.topics),
        credential=f"token:{token.id}",
        roles=frozenset(token.roles),
    )

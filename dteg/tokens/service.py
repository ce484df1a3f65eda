"""Makes tokens and logins, and finds who stands behind one."""

import hashlib
import secrets
from datetime import timedelta
from typing import Self

import psycopg
from psycopg.rows import class_row

from dteg.core.clock import Clock, utc_now
from dteg.core.control import session
from dteg.core.errors import ConflictError, NotFoundError
from dteg.core.project import Project
from dteg.tokens.models import MadeToken, NewToken, Token

MAX_TOKENS = 100
SESSION_LIFE = timedelta(days=14)
_DOMAIN = "tokens"
_COLUMNS = "id, name, scopes, topics, roles, created_at, expires_at, last_used_at"
_TOKEN = class_row(Token)
# Used by the minute: a write for each request would cost more than the request.
_USED = """
UPDATE _dteg.studio_tokens SET last_used_at = %(now)s
WHERE id = %(id)s AND (last_used_at IS NULL OR last_used_at < %(now)s - interval '1 minute')
"""


class Tokens:
    """The credentials of one project's studio.

    Args:
        project: Whose.
        clock: Where the time comes from.
    """

    def __init__(self, project: Project, clock: Clock = utc_now) -> None:
        self._project = project
        self._clock = clock

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    def create(self, new: NewToken) -> MadeToken:
        """Make a token; its secret is in the answer and nowhere else.

        Raises:
            ConflictError: The name is taken, or there are too many.
        """
        now = self._clock()
        token_id = secrets.token_hex(6)
        secret = f"dteg_studio_{token_id}_{secrets.token_urlsafe(32)}"
        token = Token(
            id=token_id, name=new.name, scopes=sorted(set(new.scopes)), topics=sorted(set(new.topics)),
            roles=sorted(set(new.roles)), created_at=now, expires_at=now + timedelta(days=new.expires_days), last_used_at=None,
        )  # fmt: skip
        with session(self._project, _DOMAIN) as connection:
            row = connection.execute("SELECT count(*) FROM _dteg.studio_tokens").fetchone()
            if row and row[0] >= MAX_TOKENS:
                raise ConflictError(f"there are {MAX_TOKENS} tokens already: revoke some")
            try:
                connection.execute(
                    "INSERT INTO _dteg.studio_tokens"
                    " (id, name, secret_hash, scopes, topics, roles, created_at, expires_at) VALUES"
                    " (%(id)s, %(name)s, %(hash)s, %(scopes)s, %(topics)s, %(roles)s, %(created_at)s, %(expires_at)s)",
                    {**token.model_dump(mode="json"), "hash": hash_of(secret)},
                )
            except psycopg.errors.UniqueViolation:
                raise ConflictError(
                    f"there is a token {new.name!r} already: revoke it first, or choose another name"
                ) from None
        return MadeToken(token=secret, **token.model_dump())

    def list(self) -> list[Token]:
        """Return all tokens, the newest first, those that have expired too."""
        with session(self._project, _DOMAIN) as connection, connection.cursor(row_factory=_TOKEN) as cursor:
            return cursor.execute(
                f"SELECT {_COLUMNS} FROM _dteg.studio_tokens ORDER BY created_at DESC, id"  # noqa: S608 - our constant
            ).fetchall()

    def revoke(self, name: str) -> Token:
        """End a token, and every login that was made with it; a running studio follows within seconds.

        Args:
            name: Its id or its name.

        Raises:
            NotFoundError: There is no such token.
        """
        with session(self._project, _DOMAIN) as connection, connection.cursor(row_factory=_TOKEN) as cursor:
            found = cursor.execute(
                "DELETE FROM _dteg.studio_tokens WHERE id ="  # noqa: S608 - our constant
                " (SELECT id FROM _dteg.studio_tokens WHERE id = %(name)s OR name = %(name)s"
                f" ORDER BY id = %(name)s DESC LIMIT 1) RETURNING {_COLUMNS}",
                {"name": name},
            ).fetchone()
        if found is None:
            raise NotFoundError(f"there is no token {name!r}; see: dteg studio token list")
        return found

    def find(self, secret: str) -> Token | None:
        """Return the token with this secret, if it is still good, and note its use."""
        now = self._clock()
        with session(self._project, _DOMAIN) as connection, connection.cursor(row_factory=_TOKEN) as cursor:
            found = cursor.execute(
                f"SELECT {_COLUMNS} FROM _dteg.studio_tokens"  # noqa: S608 - our constant
                " WHERE secret_hash = %(hash)s AND expires_at > %(now)s",
                {"hash": hash_of(secret), "now": now},
            ).fetchone()
            if found is not None:
                connection.execute(_USED, {"id": found.id, "now": now})
        return found

    def open_session(self, token_id: str | None) -> str:
        """Log a browser in, and return the value of its cookie.

        Args:
            token_id: The token it logs in with; None for the project's own, which has all scopes.
        """
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        with session(self._project, _DOMAIN) as connection:
            connection.execute("DELETE FROM _dteg.studio_sessions WHERE expires_at <= %s", [now])
            connection.execute(
                "INSERT INTO _dteg.studio_sessions (hash, token_id, created_at, expires_at) VALUES (%s, %s, %s, %s)",
                [hash_of(cookie), token_id, now, now + SESSION_LIFE],
            )
        return cookie

    def find_session(self, cookie: str) -> tuple[bool, Token | None]:
        """Return whether a login still holds, and the token it was made with; None for the project's own."""
        now = self._clock()
        columns = ", ".join(f"t.{name.strip()}" for name in _COLUMNS.split(","))
        with session(self._project, _DOMAIN) as connection:
            row = connection.execute(
                f"SELECT s.token_id, {columns} FROM _dteg.studio_sessions AS s"  # noqa: S608 - our constant
                " LEFT JOIN _dteg.studio_tokens AS t ON t.id = s.token_id"
                " WHERE s.hash = %(hash)s AND s.expires_at > %(now)s"
                " AND (s.token_id IS NULL OR t.expires_at > %(now)s)",
                {"hash": hash_of(cookie), "now": now},
            ).fetchone()
        if row is None:
            return False, None
        if row[0] is None:
            return True, None
        return True, Token(**dict(zip(_COLUMNS.split(", "), row[1:], strict=True)))

    def close_session(self, cookie: str) -> None:
        """Log a browser out."""
        with session(self._project, _DOMAIN) as connection:
            connection.execute("DELETE FROM _dteg.studio_sessions WHERE hash = %s", [hash_of(cookie)])


def hash_of(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

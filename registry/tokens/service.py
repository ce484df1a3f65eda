"""Credentials of programs and people: tokens, logins of some minutes, sessions of the pages."""

import base64
import binascii
import hashlib
import hmac
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
from fastapi import Request, Response

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError
from dteg.webapp.forms import CSRF_HEADER
from registry.access import NOBODY, Principal, Scope
from registry.accounts.models import Account
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.service import Service
from registry.tokens.models import Grant, NewToken, Session, Token
from registry.tokens.secrets import hash_of, id_of, make_secret, signing_key
from registry.tokens.store import INDEXES, TokenStore

if TYPE_CHECKING:
    from registry.services import Services

ALGORITHM = "HS256"  # fixed: what a login says about its own algorithm is never believed
AUDIENCE = "dteg-registry"
SESSION_LIFE = timedelta(days=14)
MAX_TOKENS = 100
PERSONAL = frozenset({Scope.ACCOUNT, Scope.ADMIN})
_CLAIMS = ("sub", "jti", "iat", "exp", "aud", "iss", "scope", "ver")
_NOTE_USE_EVERY = timedelta(minutes=1)
_REMEMBERED_USES = 10_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_WRONG = "wrong, expired or revoked credentials: log in again (dteg login)"


class Tokens(Service):
    """Makes credentials and tells who stands behind one."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = TokenStore(self.database)
        self._key = signing_key(self.settings.data_dir)
        self._noted: OrderedDict[str, datetime] = OrderedDict()
        self._secure = self.settings.public_url.startswith("https://")
        self.cookie = "__Host-dteg_session" if self._secure else "dteg_session"

    # --- who asks -----------------------------------------------------------------------------------

    async def principal_of(self, request: Request) -> Principal:
        """Return who asks; NOBODY without credentials.

        Raises:
            DeniedError: The credentials are wrong, expired or revoked, or a request with the cookie of the pages does
                not come from a page.
        """
        header = request.headers.get("authorization", "")
        if header:
            kind, _, value = header.partition(" ")
            return await self.principal_of_credential(_credential(kind.lower(), value.strip()))
        cookie = request.cookies.get(self.cookie, "")
        who = await self.principal_of_session(cookie) if cookie else NOBODY
        if who.known and request.method not in _SAFE and request.url.path.startswith("/api/"):
            self.check_csrf(cookie, request.headers.get(CSRF_HEADER, ""))
        return who

    async def principal_of_credential(self, value: str) -> Principal:
        """Return who stands behind a token or a login.

        Raises:
            DeniedError: It is wrong, expired or revoked.
        """
        if value.startswith("dteg_"):
            token = await self._checked_token(value)
            return await self._principal(token, f"token:{token.id}", token.scopes)
        claims = self._claims(value)
        if await self._store.is_revoked(claims["jti"]):
            raise DeniedError(_WRONG, authenticate=True)
        scopes = [scope for scope in Scope if scope.value in claims["scope"].split()]
        if token_id := claims.get("tid"):
            found = await self._store.find(token_id)
            if found is None or found.expires_at <= self.clock():
                raise DeniedError(_WRONG, authenticate=True)
            return await self._principal(found, f"jwt:{claims['jti']}", scopes)
        account = await self._account(claims["sub"], claims["ver"])
        return _principal(account, f"jwt:{claims['jti']}", scopes)

    async def principal_of_session(self, cookie: str) -> Principal:
        """Return who is logged in to the pages; NOBODY when that login has ended."""
        session = await self._store.session(hash_of(cookie))
        if session is None or session.expires_at <= self.clock():
            return NOBODY
        try:
            account = await self._account(session.user_id, session.credentials_version)
        except DeniedError:
            return NOBODY
        return _principal(account, "session", list(Scope))

    # --- tokens -------------------------------------------------------------------------------------

    async def create(self, who: Principal, new: NewToken) -> tuple[Token, str]:
        """Make a token that can do no more than the credential that asks; return it and its secret.

        Raises:
            DeniedError: More rights than the credential has.
            InputError: Rights and restriction contradict each other.
            ConflictError: The account has too many tokens.
        """
        namespace = new.namespace or new.component.partition("/")[0]
        scopes = [scope for scope in Scope if scope in new.scopes]
        if new.component and new.component.partition("/")[0] != namespace:
            raise InputError(f"the component {new.component} is not in the namespace {namespace}")
        if namespace and PERSONAL.intersection(scopes):
            raise InputError("a token for one namespace cannot have the scopes account or admin")
        if lacking := [scope for scope in scopes if not who.may(scope)]:
            raise DeniedError(f"this credential cannot give the scopes {', '.join(lacking)}: it lacks them")
        if not who.covers(namespace, new.component):
            raise DeniedError("this credential is itself limited, and cannot make a token for more")
        if await self._store.count(who.user_id) >= MAX_TOKENS:
            raise ConflictError(f"an account has at most {MAX_TOKENS} tokens: delete some")
        token_id, now = new_id(), milliseconds(self.clock())
        secret = make_secret(token_id)
        token = Token(
            id=token_id, user_id=who.user_id, name=new.name, secret_hash=hash_of(secret), scopes=scopes,
            namespace=namespace, component=new.component, created_at=now,
            expires_at=now + timedelta(days=new.expires_days),
        )  # fmt: skip
        await self._store.insert(token)
        await self.services.audit.record(
            who, "credential.create", token_id, scopes=",".join(scopes), namespace=namespace, component=new.component
        )  # fmt: skip
        return token, secret

    async def of(self, who: Principal) -> list[Token]:
        """Return the account's tokens, the newest first."""
        return await self._store.of(who.user_id)

    async def delete(self, who: Principal, token_id: str) -> None:
        """End a token at once.

        Raises:
            NotFoundError: The account has no such token.
        """
        if not await self._store.delete(token_id, who.user_id):
            raise NotFoundError("you have no such token")
        await self.services.audit.record(who, "credential.delete", token_id)

    async def remove_all(self, user_id: str) -> None:
        """End all credentials of an account."""
        await self._store.remove_all(user_id)

    # --- logins of some minutes -----------------------------------------------------------------------

    async def grant_for_password(self, login: str, password: str, address: str, wanted: list[Scope]) -> Grant:
        """Return an access token for a login and password (RFC 6749, 4.3).

        Raises:
            DeniedError: Wrong login or password, or a scope that the account has not.
            LimitedError: Too many failures.
        """
        account = await self.services.accounts.authenticate(login, password, address)
        allowed = [scope for scope in Scope if account.is_admin or scope is not Scope.ADMIN]
        return self._grant(account.id, account.credentials_version, wanted, allowed)

    async def grant_for_token(self, token_id: str, secret: str, wanted: list[Scope]) -> Grant:
        """Return an access token for a token (RFC 6749, 4.4); it ends with that token.

        Raises:
            DeniedError: A wrong token, or a scope that it has not.
        """
        if id_of(secret) != token_id:
            raise DeniedError("wrong client_id or client_secret", authenticate=True)
        token = await self._checked_token(secret)
        account = await self.services.accounts.get(token.user_id)
        return self._grant(account.id, account.credentials_version, wanted, token.scopes, token.id)

    async def revoke(self, value: str) -> bool:
        """End an access token or a token whose secret the caller knows; return whether it was good."""
        try:
            who = await self.principal_of_credential(value)
        except DeniedError:
            return False
        kind, _, number = who.credential.partition(":")
        if kind == "token":
            await self.delete(who, number)
        else:
            expires_at = datetime.fromtimestamp(self._claims(value)["exp"], tz=self.clock().tzinfo)
            await self._store.revoke(number, expires_at)
        return True

    # --- sessions of the pages ------------------------------------------------------------------------

    async def open_session(self, account: Account) -> str:
        """Log somebody in to the pages, and return the value of the cookie."""
        now = milliseconds(self.clock())
        secret = make_secret(new_id())
        session = Session(
            id=hash_of(secret), user_id=account.id, credentials_version=account.credentials_version, created_at=now,
            expires_at=now + SESSION_LIFE,
        )  # fmt: skip
        await self._store.insert_session(session)
        return secret

    async def close_session(self, cookie: str) -> None:
        """Log out of the pages."""
        await self._store.delete_session(hash_of(cookie))

    async def sessions_of(self, who: Principal, cookie: str) -> list[tuple[Session, bool]]:
        """Return the account's logins of the pages that still hold, and of each whether it is the cookie's."""
        found, mine = await self._store.sessions_of(who.user_id), hash_of(cookie)
        account = await self.services.accounts.get(who.user_id)
        return [
            (each, each.id == mine)
            for each in found
            if each.expires_at > self.clock() and each.credentials_version == account.credentials_version
        ]

    async def close_other_sessions(self, who: Principal, cookie: str) -> None:
        """Log the account out of the pages everywhere else."""
        await self._store.delete_other_sessions(who.user_id, hash_of(cookie))
        await self.services.audit.record(who, "credential.end-sessions", who.user_id)

    def set_cookie(self, response: Response, value: str) -> None:
        """Put a session into an answer; an empty value removes it."""
        response.set_cookie(
            self.cookie, value, max_age=int(SESSION_LIFE.total_seconds()) if value else 0, path="/",
            secure=self._secure, httponly=True, samesite="lax",
        )  # fmt: skip

    def csrf_token(self, session: str) -> str:
        """Return what forms of a session carry; other sites cannot read it. Takes the value of the cookie."""
        return hmac.new(self._key, f"csrf:{session}".encode(), hashlib.sha256).hexdigest()

    def check_csrf(self, session: str, given: str) -> None:
        """Refuse a form or request that does not come from our pages.

        Raises:
            DeniedError: The token is missing or of another session.
        """
        if not hmac.compare_digest(self.csrf_token(session).encode(), given.encode("utf-8", "replace")):
            raise DeniedError("this form is out of date: load the page again")

    async def sweep(self) -> None:
        """Delete what has ended."""
        await self._store.sweep(self.clock())

    # --- inside ---------------------------------------------------------------------------------------

    async def _checked_token(self, secret: str) -> Token:
        token_id = id_of(secret)
        token = await self._store.find(token_id) if token_id else None
        good = token is not None and hmac.compare_digest(token.secret_hash, hash_of(secret))
        if token is None or not good or token.expires_at <= self.clock():
            raise DeniedError(_WRONG, authenticate=True)
        await self._note_use(token)
        return token

    async def _principal(self, token: Token, credential: str, scopes: list[Scope]) -> Principal:
        account = await self._account(token.user_id)
        allowed = [scope for scope in scopes if scope in token.scopes]
        return _principal(account, credential, allowed, token.namespace, token.component)

    async def _account(self, user_id: str, version: int | None = None) -> Account:
        try:
            account = await self.services.accounts.get(user_id)
        except NotFoundError:
            raise DeniedError(_WRONG, authenticate=True) from None
        if not account.active or version not in (None, account.credentials_version):
            raise DeniedError(_WRONG, authenticate=True)
        return account

    async def _note_use(self, token: Token) -> None:
        """Write the time of use at most once a minute."""
        now = milliseconds(self.clock())
        known = self._noted.get(token.id) or token.last_used_at
        if known is not None and now - known < _NOTE_USE_EVERY:
            return
        self._noted[token.id] = now
        self._noted.move_to_end(token.id)
        if len(self._noted) > _REMEMBERED_USES:
            self._noted.popitem(last=False)
        await self._store.used(token.id, now)

    def _grant(
        self, user_id: str, version: int, wanted: list[Scope], allowed: list[Scope], token_id: str = ""
    ) -> Grant:
        if lacking := [scope for scope in wanted if scope not in allowed]:
            raise DeniedError(f"not allowed to ask for: {', '.join(lacking)}")
        now, life = int(self.clock().timestamp()), self.settings.access_token_s
        scope = " ".join(wanted or allowed)
        claims = {
            "iss": self.settings.public_url, "aud": AUDIENCE, "sub": user_id, "jti": new_id(), "iat": now,
            "exp": now + life, "scope": scope, "ver": version, **({"tid": token_id} if token_id else {}),
        }  # fmt: skip
        return Grant(
            access_token=jwt.encode(claims, self._key, algorithm=ALGORITHM), expires_in=life, scope=scope
        )

    def _claims(self, value: str) -> dict[str, Any]:
        try:
            claims = jwt.decode(
                value, self._key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=self.settings.public_url,
                # Times are compared below, with our own clock.
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )  # fmt: skip
        except (jwt.InvalidTokenError, UnicodeError):
            raise DeniedError(_WRONG, authenticate=True) from None
        if claims["exp"] <= self.clock().timestamp():
            raise DeniedError("the login has expired: log in again (dteg login)", authenticate=True)
        return claims


def _principal(
    account: Account, credential: str, scopes: list[Scope], namespace: str = "", component: str = ""
) -> Principal:
    allowed = frozenset(scope for scope in scopes if account.is_admin or scope is not Scope.ADMIN)
    return Principal(account.id, account.login, account.is_admin, allowed, namespace, component, credential)


def _credential(kind: str, value: str) -> str:
    if kind == "bearer":
        return value
    if kind == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            pass
    raise DeniedError("send a token as Bearer, or as the password of Basic", authenticate=True)

"""Tokens, sessions, and what clients send and get about them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from registry.access import Scope
from registry.documents import Answer, Body, Document, Line
from registry.identifiers import NAMESPACE_PATTERN

COMPONENT_PATTERN = r"^[a-z][a-z0-9]{1,38}/[a-z][a-z0-9]*(-[a-z0-9]+)*$"
MAX_DAYS = 366


class Token(Document):
    """A credential of a program; the secret itself is not kept.

    Attributes:
        user_id: Whose it is.
        name: What the owner calls it.
        secret_hash: sha256 of the whole secret.
        scopes: What it is good for.
        namespace: The only namespace it is good for; "" for all.
        component: The only component it is good for; "" for all.
        expires_at: When it ends.
        last_used_at: Within a minute.
    """

    user_id: str
    name: str
    secret_hash: str
    scopes: list[Scope]
    namespace: str = ""
    component: str = ""
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = None


class Session(Document):
    """A login of the pages; its id is the sha256 of the cookie.

    Attributes:
        user_id: Who is logged in.
        credentials_version: Of the account, at login.
        expires_at: When it ends.
    """

    user_id: str
    credentials_version: int
    created_at: datetime
    expires_at: datetime


class NewToken(Body):
    """What a token shall be good for."""

    name: Annotated[Line, Field(min_length=1, max_length=80)] = Field(description="To recognise it by.")
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), description="What it is good for.")
    namespace: str = Field(
        "", pattern=rf"^({NAMESPACE_PATTERN[1:-1]})?$", description="Only for this namespace."
    )
    component: str = Field(
        "",
        max_length=140,
        pattern=rf"^({COMPONENT_PATTERN[1:-1]})?$",
        description="Only for this `namespace/slug`.",
    )
    expires_days: int = Field(90, ge=1, le=MAX_DAYS, description="Life in days.")


class TokenAnswer(Answer):
    """A token as its owner sees it."""

    id: str
    name: str
    scopes: list[Scope]
    namespace: str
    component: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: Token) -> "TokenAnswer":
        """Leave out what nobody may see."""
        return cls(**token.model_dump(include=set(cls.model_fields)))


class MadeToken(TokenAnswer):
    """A new token, with the secret that is never shown again."""

    token: str


class Grant(Answer):
    """An access token, as RFC 6749 names its parts."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the name of a kind, not a secret
    expires_in: int
    scope: str


class Revocation(Answer):
    """What was ended."""

    revoked: bool

"""What a credential of the studio is good for."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from dteg.core.config import ConfigModel

MAX_DAYS = 366
TOPIC_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$"
ROLE_PATTERN = r"^[a-z][a-z0-9_-]{0,40}$"


class Scope(StrEnum):
    """What a credential may be used for. `write` includes `read`, and `admin` all others."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


_INCLUDES = {Scope.WRITE: {Scope.READ}, Scope.ADMIN: set(Scope)}
_OF_TOPICS = {Scope.PUBLISH, Scope.SUBSCRIBE}


def with_included(scopes: list[Scope]) -> frozenset[Scope]:
    """Return the scopes and those that they include."""
    return frozenset(scopes).union(*(_INCLUDES.get(each, set()) for each in scopes))


class NewToken(ConfigModel):
    """What a token shall be good for."""

    name: str = Field(
        min_length=1, max_length=80, pattern=r"^[^\s\x00-\x1f\x7f](.*[^\s\x00-\x1f\x7f])?$", description="To recognise it by."
    )  # fmt: skip
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope), description="What it is good for.")
    topics: list[Annotated[str, Field(pattern=TOPIC_PATTERN)]] = Field(
        default_factory=list,
        max_length=100,
        description="The only topics it may publish to and subscribe to; default: all of them.",
    )
    roles: list[Annotated[str, Field(pattern=ROLE_PATTERN)]] = Field(
        default_factory=list,
        max_length=20,
        description="Roles, such as finance: it sees the datasets, charts and dashboards that are for one of these only.",
    )
    expires_days: int = Field(90, ge=1, le=MAX_DAYS, description="Life in days.")

    @model_validator(mode="after")
    def _limited_to_topics(self) -> Self:
        if self.topics and not _OF_TOPICS.issuperset(self.scopes):
            raise ValueError("a token for certain topics can have the scopes publish and subscribe only")
        return self


class Token(BaseModel):
    """A token as it is listed: without its secret, which is not kept.

    Attributes:
        id: Part of the secret too.
        name: What it is called.
        scopes: What it is good for.
        topics: The only topics it is good for; none: all.
        roles: Whose datasets, charts and dashboards it sees, beside those for everybody.
        created_at: When it was made.
        expires_at: When it ends.
        last_used_at: Within a minute.
    """

    id: str
    name: str
    scopes: list[Scope]
    topics: list[str]
    roles: list[str] = []
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None


class MadeToken(Token):
    """A new token, with the secret that is never shown again."""

    token: str

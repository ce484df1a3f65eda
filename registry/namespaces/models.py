"""Namespaces, their members and keys, and what clients send and get about them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from registry.access import Role
from registry.documents import Answer, Body, Document, Line
from registry.identifiers import NAMESPACE_PATTERN

MAX_MEMBERS = 100
MAX_KEYS = 50
NamespaceName = Annotated[str, Field(pattern=NAMESPACE_PATTERN)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Member(_Part):
    """An account in a namespace."""

    user: str
    role: Role


class PublisherKey(_Part):
    """An Ed25519 key that releases are signed with.

    Attributes:
        kid: Its id, as signatures name it.
        public: Base64 of the 32 raw bytes.
        name: What the owner calls it.
        from_at: Signatures made before are refused.
        to_at: Signatures made from here on are refused; None while it is good.
        added_by: Account id.
    """

    kid: str
    public: str
    name: str = ""
    from_at: datetime
    to_at: datetime | None = None
    added_by: str = ""

    def good_at(self, moment: datetime) -> bool:
        """Return whether a signature of that moment counts."""
        return self.from_at <= moment and (self.to_at is None or moment < self.to_at)


class Namespace(Document):
    """Where components are published; its id is its name.

    Attributes:
        look: What the name looks like, unique.
        verified: Whether an administrator knows who is behind it.
    """

    look: str
    members: list[Member]
    keys: list[PublisherKey] = Field(default=[])
    verified: bool = False
    created_at: datetime
    created_by: str

    def role_of(self, user_id: str) -> Role | None:
        """Return an account's role; None for strangers."""
        return next((member.role for member in self.members if member.user == user_id), None)

    def good_keys(self, moment: datetime) -> dict[str, str]:
        """Return the public keys that are good at a moment, by id."""
        return {key.kid: key.public for key in self.keys if key.good_at(moment)}


class NewNamespace(Body):
    """A claim."""

    name: NamespaceName = Field(description="Lower case letters and digits, beginning with a letter.")


class MemberRole(Body):
    """A role to give."""

    role: Role = Field(description="Each role includes the ones after it: owner, maintainer, reader.")


class NewKey(Body):
    """A publisher's key."""

    public_key: Annotated[Line, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")] = Field(
        description="Base64 of the 32 raw bytes of an Ed25519 public key."
    )
    name: Annotated[Line, Field(max_length=80)] = Field("", description="To recognise it by.")


class Verified(Body):
    """Whether an administrator knows who is behind a namespace."""

    verified: bool = Field(description="Shown beside the namespace.")


class KeyMade(Answer):
    """The id of a new key."""

    key_id: str


class KeyAnswer(Answer):
    """A publisher's key as everybody sees it."""

    key_id: str
    public_key: str
    name: str
    from_at: datetime
    to_at: datetime | None


class MemberAnswer(Answer):
    """A member as others see it."""

    login: str
    role: Role


class NamespaceAnswer(Answer):
    """A namespace as others see it; readers are shown to members only."""

    name: str
    verified: bool
    members: list[MemberAnswer]
    keys: list[KeyAnswer]
    created_at: datetime

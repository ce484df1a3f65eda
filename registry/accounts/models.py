"""Accounts, and what clients send and get about them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from registry.documents import Answer, Body, Document, Line

Login = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=2, max_length=39)]
Email = Annotated[Line, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s.]+$", max_length=254)]
# argon2 takes any length, but hashing a book would take long.
Password = Annotated[str, Field(min_length=1, max_length=256)]

LinkText = Annotated[Line, Field(min_length=1, max_length=100)]


class Account(Document):
    """A person or a robot that logs in.

    Attributes:
        login: Its name.
        look: Hash of what the login looks like, unique, and kept after deletion: nobody may become someone's ghost.
        email: Its address in lower case; never shown to others.
        email_verified_at: When somebody followed a link in a mail to it; None if nobody did.
        password_hash: argon2id; empty when deleted.
        credentials_version: Counts up when all logins of the account end: new password, deletion.
        is_admin: Whether it administers the registry.
        status: Whether it still exists.
    """

    login: str
    look: str
    email: str
    email_verified_at: datetime | None = None
    password_hash: str
    credentials_version: int = 1
    is_admin: bool = False
    status: Literal["active", "deleted"] = "active"
    created_at: datetime

    @property
    def active(self) -> bool:
        """Whether it may log in."""
        return self.status == "active"


class NewAccount(Body):
    """What is needed for an account."""

    login: Login = Field(description="Lower case letters, digits and hyphens.")
    email: Email = Field(description="Where to reach you; shown to nobody.")
    password: Password = Field(description="At least 12 characters.")


class AccountChange(Body):
    """A new password or address; the present password proves who asks."""

    current_password: Password = Field(description="The present password.")
    password: Password | None = Field(None, description="The new password; all logins end.")
    email: Email | None = Field(None, description="The new address.")


class ResetWish(Body):
    """Who has forgotten a password."""

    email: Email = Field(description="Address of the account.")


class Reset(Body):
    """A new password, with what a mail brought."""

    link: LinkText = Field(description="What stands behind `link=` in the mail.")
    password: Password = Field(description="At least 12 characters; all logins end.")


class Confirmation(Body):
    """What a mail brought."""

    link: LinkText = Field(description="What stands behind `link=` in the mail.")


class Asked(Answer):
    """That a mail was asked for."""

    detail: str


class AccountDeletion(Body):
    """The end of an account."""

    current_password: Password = Field(description="The present password.")


class AccountAnswer(Answer):
    """An account as its owner sees it."""

    id: str
    login: str
    email: str
    email_verified: bool
    is_admin: bool
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "AccountAnswer":
        """Leave out what nobody may see."""
        return cls(
            id=account.id, login=account.login, email=account.email, email_verified=account.email_verified_at is not None,
            is_admin=account.is_admin, created_at=account.created_at,
        )  # fmt: skip

"""Licences and metered use, and what clients send and get about them. Orders and invoices: `bills.py`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from registry.documents import Answer, Body, Document, Line
from registry.identifiers import NAMESPACE_PATTERN
from registry.parameters import ID_PATTERN

MAX_SEATS = 1_000
MAX_ROWS = 10**13
MAX_HOURS = 24 * 30
KEPT_ORDERS = 50

Seats = Annotated[int, Field(ge=1, le=MAX_SEATS)]


class Price(BaseModel):
    """What was agreed: the component's pricing at that moment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: Literal["free", "premium", "enterprise", "usage"] = "free"
    amount_minor: int = Field(0, ge=0, le=10**9)
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    per: Literal["once", "month", "year", "million_rows"] = "once"


class Licence(Document):
    """The right of an organisation's members to download a component; its id is `component|organisation`.

    Attributes:
        key: Its name in addresses.
        component: `namespace/slug`.
        seller: Namespace of the component.
        organisation: Namespace whose members may.
        seats: How many different accounts; None for all members.
        users: Accounts that have a seat.
        price: What was agreed.
        source: Whether the publisher gave it or somebody paid.
        orders: The newest orders that it comes from.
        starts_at: From when.
        until: Until when; None for ever.
        revoked_at: When it was taken back.
        rev: Counts its changes.
    """

    key: str
    component: str
    seller: str
    organisation: str
    seats: int | None = None
    users: list[str] = Field(default=[])
    price: Price
    source: Literal["owner", "payment"]
    orders: list[str] = Field(default=[])
    starts_at: datetime
    until: datetime | None = None
    revoked_at: datetime | None = None
    rev: int = 1

    def good_at(self, moment: datetime) -> bool:
        """Return whether it holds at a moment."""
        return (
            self.revoked_at is None
            and self.starts_at <= moment
            and (self.until is None or moment < self.until)
        )


class UsageRecord(Document):
    """Metered use; its id is `licence|key`, so that sending it again counts nothing twice.

    Attributes:
        licence: Key of the licence.
        component: Of what.
        seller: Who bills it.
        organisation: Whom.
        rows: How many rows were moved.
        at: When.
        period: The month of that.
        per_million_minor: Price of a million rows at the time.
        currency: Of the price.
        by: Account that told.
        received_at: When it was told.
        invoice: The invoice that it is on; None while it is on none.
    """

    licence: str
    component: str
    seller: str
    organisation: str
    rows: int
    at: datetime
    period: str
    per_million_minor: int
    currency: str
    by: str
    received_at: datetime
    invoice: str | None = None


class NewLicence(Body):
    """A licence to give."""

    organisation: Annotated[str, Field(pattern=NAMESPACE_PATTERN)] = Field(
        description="Namespace whose members may download."
    )
    seats: Seats | None = Field(
        None, description="How many different accounts; default: all members, however many."
    )
    until: AwareDatetime = Field(description="Until when.")


class TokenWish(Body):
    """What an entitlement is needed for."""

    hours: int = Field(24, ge=1, le=MAX_HOURS, description="Life in hours, at most until the licence ends.")


class NewUsage(Body):
    """Metered use."""

    licence: Annotated[str, Field(pattern=ID_PATTERN)] = Field(description="Id of the licence.")
    key: Annotated[Line, Field(pattern=r"^[\w.:-]{1,100}$")] = Field(
        description="Names this record, such as the id of the load: sent twice it counts once."
    )
    rows: int = Field(ge=0, le=MAX_ROWS, strict=True, description="Rows that were moved.")
    at: AwareDatetime = Field(description="When; at most 35 days ago.")


class LicenceAnswer(Answer):
    """A licence as seller and organisation see it.

    Attributes:
        used: Seats that are taken.
        active: Whether it holds now.
    """

    id: str
    component: str
    organisation: str
    seats: int | None
    used: int
    price: Price
    source: str
    starts_at: datetime
    until: datetime | None
    active: bool


class EntitlementAnswer(Answer):
    """A signed entitlement.

    Attributes:
        token: For the header `X-Dteg-Entitlement`, or to check offline with the registry's public key.
        expires_at: Until when it is good.
    """

    token: str
    expires_at: datetime


class EntitledAnswer(Answer):
    """What one may use as a member of an organisation.

    Attributes:
        id: The licence.
        seat: Whether a seat is one's own or `free`, all are `taken`, or `everybody` of the organisation has one.
    """

    id: str
    component: str
    organisation: str
    seat: Literal["everybody", "yours", "free", "taken"]
    until: datetime | None


class OpenUsage(Answer):
    """Metered use of one month under one licence that is on no invoice yet.

    Attributes:
        licence: Id of the licence.
        per_million_minor: Price of a million rows.
        amount_minor: What it would come to alone; an invoice rounds once for all months that are on it.
    """

    licence: str
    component: str
    seller: str
    organisation: str
    period: str
    rows: int
    per_million_minor: int
    currency: str
    amount_minor: int


class UsageAnswer(Answer):
    """A record of use.

    Attributes:
        repeated: Whether it was known already.
    """

    licence: str
    key: str
    rows: int
    at: datetime
    period: str
    repeated: bool

"""Orders, invoices and credit notes, and what clients send and get about them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from registry.documents import Answer, Body, Document, Line
from registry.identifiers import NAMESPACE_PATTERN
from registry.licences.models import Price, Seats
from registry.licences.money import LARGEST_MINOR


class OrderState(StrEnum):
    """Where an order is in its life."""

    CREATED = "created"
    FAILED = "failed"
    PAID = "paid"
    REFUNDED = "refunded"


class Order(Document):
    """What somebody wants to buy.

    Attributes:
        component: `namespace/slug`.
        seller: Its namespace.
        organisation: For whom.
        seats: How many; None for all members.
        price: The component's pricing at that moment.
        amount_minor: What is to be paid.
        provider: Who takes the payment.
        reference: The provider's name of it.
        url: Where one pays.
        state: How far it is.
        created_by: Account.
        paid_at: When it was paid.
        period: The month of that.
        invoice: The invoice that it is on.
    """

    component: str
    seller: str
    organisation: str
    seats: int | None
    price: Price
    amount_minor: int
    provider: str
    reference: str
    url: str
    state: OrderState = OrderState.CREATED
    created_by: str
    created_at: datetime
    paid_at: datetime | None = None
    period: str | None = None
    invoice: str | None = None


class InvoiceLine(BaseModel):
    """One line of an invoice.

    Attributes:
        kind: Metered use, or a licence that was paid by order.
        component: Of what.
        reference: Id of the licence or order.
        quantity: Rows, or seats.
        unit_minor: Price of a million rows, or of what one order buys, in minor units.
        per: What that price is for.
        amount_minor: What the line comes to.
        paid: Whether it has been paid already.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["usage", "licence"]
    component: str
    reference: str
    quantity: int
    unit_minor: int
    per: str
    amount_minor: int
    paid: bool


class Invoice(Document):
    """What one organisation owes one seller for one month; its id is `seller|organisation|currency|period`.

    A draft collects; once closed nothing in it changes any more, and a mistake is put right by a credit note.

    Attributes:
        key: Its name in addresses.
        number: Counts the seller's invoices from 1 without gaps; 0 while it is a draft.
        state: See above.
        rev: Counts the closers that began to collect: only the last of them may close.
        total_minor: Sum of the lines, without taxes, which are between seller and buyer.
        paid_minor: How much of that was paid by order.
        sha256: Hash of what was closed.
    """

    key: str
    number: int = 0
    seller: str
    organisation: str
    currency: str
    period: str
    state: Literal["draft", "closed"] = "draft"
    rev: int = 0
    lines: list[InvoiceLine] = Field(default=[])
    total_minor: int = 0
    paid_minor: int = 0
    closed_at: datetime | None = None
    sha256: str = ""


class CreditNote(Document):
    """An amount taken back from a closed invoice; its id is `invoice key|number`, numbers without gaps.

    Attributes:
        invoice: Key of the invoice.
        number: Counts the credit notes of the invoice from 1.
        amount_minor: How much is taken back.
        reason: Why.
        by: Account, "" for a refund by the payment provider.
        source: What it comes from, once each: an order that was refunded, or its own id.
    """

    invoice: str
    number: int
    amount_minor: int
    reason: str
    by: str
    source: str
    at: datetime


class NewOrder(Body):
    """What to buy."""

    organisation: Annotated[str, Field(pattern=NAMESPACE_PATTERN)] = Field(
        description="Namespace whose members may download; you own it."
    )
    seats: Seats | None = Field(None, description="How many different accounts; needed for premium.")


class NewCreditNote(Body):
    """What to take back."""

    amount_minor: int = Field(ge=1, le=LARGEST_MINOR, strict=True, description="In minor units.")
    reason: Annotated[Line, Field(min_length=3, max_length=300)] = Field(description="Why.")


class OrderAnswer(Answer):
    """An order as the buyer sees it.

    Attributes:
        url: Where one pays; "" when there is nothing to pay.
    """

    id: str
    component: str
    organisation: str
    seats: int | None
    amount_minor: int
    currency: str
    state: OrderState
    url: str
    created_at: datetime


class CreditNoteAnswer(Answer):
    """A credit note as seller and organisation see it."""

    number: int
    amount_minor: int
    reason: str
    at: datetime


class InvoiceAnswer(Answer):
    """A closed invoice as seller and organisation see it.

    Attributes:
        due_minor: What is still to be paid: neither paid by order nor taken back.
    """

    id: str
    number: int
    seller: str
    organisation: str
    currency: str
    period: str
    lines: list[InvoiceLine]
    total_minor: int
    paid_minor: int
    credited_minor: int
    due_minor: int
    closed_at: datetime
    sha256: str
    credit_notes: list[CreditNoteAnswer]


class Closed(Answer):
    """The invoices of a seller and month."""

    items: list[InvoiceAnswer]


class CallbackAnswer(Answer):
    """What a payment provider gets."""

    received: bool = True

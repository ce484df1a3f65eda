"""Events, who wants them, and how each delivery went."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from registry.documents import Answer, Body, Document, Line

MAX_HOOKS = 20
MAX_LOG = 20


class Event(StrEnum):
    """What webhooks tell of."""

    RELEASE_LISTED = "release.listed"
    RELEASE_REJECTED = "release.rejected"
    RELEASE_YANKED = "release.yanked"
    RELEASE_QUARANTINED = "release.quarantined"
    REVIEW_CREATED = "review.created"
    THREAD_CREATED = "thread.created"
    REPORT_CREATED = "report.created"


# What is sent on request, to try a webhook out; nobody chooses it.
TEST: Literal["webhook.test"] = "webhook.test"
AnyEvent = Event | Literal["webhook.test"]


class DeliveryState(StrEnum):
    """Where a delivery is in its life."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Webhook(Document):
    """Where events of a namespace are sent.

    Attributes:
        namespace: Whose events.
        url: Where.
        events: Which.
        secret_number: Which of its secrets is in use; the secret itself is computed, not kept.
        active: Whether it gets anything; a receiver that answers 410 ends it.
        created_by: Account.
    """

    namespace: str
    url: str
    events: list[Event]
    secret_number: int = 1
    active: bool = True
    created_by: str
    created_at: datetime


class Happened(Document):
    """An event, kept before anybody is told.

    Attributes:
        event: What.
        namespace: Where.
        payload: More.
        at: When.
        shared: Whether a delivery has been made for each webhook that wants it.
    """

    event: AnyEvent
    namespace: str
    payload: dict[str, Any]
    at: datetime
    shared: bool = False


class Attempt(BaseModel):
    """One try.

    Attributes:
        at: When it began.
        status: HTTP status; None without an answer.
        ms: How long it took.
        error: Why it failed; "" if it did not.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: datetime
    status: int | None = None
    ms: int = 0
    error: str = ""


class Delivery(Document):
    """One event for one webhook; its id is `event-webhook`.

    Attributes:
        webhook: To which.
        namespace: Whose.
        happened: Id of the event.
        event: What.
        state: How far it is.
        tries: How often it was begun since it was made or asked for again.
        next_at: When it is tried next; while a process tries it: when another may.
        log: The newest tries.
    """

    webhook: str
    namespace: str
    happened: str
    event: AnyEvent
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    next_at: datetime
    log: list[Attempt] = Field(default=[])
    created_at: datetime


class NewWebhook(Body):
    """Where to send what."""

    url: Annotated[Line, Field(min_length=1, max_length=500)] = Field(
        description="https, of a machine of the internet."
    )
    events: list[Event] = Field(
        list(Event), min_length=1, max_length=len(Event), description="Which events; default: all."
    )


class WebhookAnswer(Answer):
    """A webhook as members see it; its secret is never shown again."""

    id: str
    namespace: str
    url: str
    events: list[Event]
    active: bool
    created_at: datetime


class WebhookMade(WebhookAnswer):
    """A new webhook, and the secret that its signatures are made with, shown once."""

    secret: str


class DeliveryAnswer(Answer):
    """How a delivery went."""

    id: str
    webhook: str
    event: AnyEvent
    state: DeliveryState
    tries: int
    next_at: datetime | None
    log: list[Attempt]
    created_at: datetime

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Return it as members see it."""
        pending = delivery.state is DeliveryState.PENDING
        shown = delivery.model_dump(include=set(cls.model_fields) - {"next_at", "log"})
        return cls(**shown, log=delivery.log, next_at=delivery.next_at if pending else None)

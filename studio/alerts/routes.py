"""Alerts over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from dteg.alerts.models import Delivery, Matter, Overview, Sent
from studio.access import Principal, Scope, allow
from studio.answers import Limit, Page
from studio.services import services_of

router = APIRouter(prefix="/alerts", tags=["alerts"])
# Channels may take their time.
LONG = (r"/api/v1/alerts/(deliver|test)",)


class Acknowledgement(BaseModel):
    """What somebody takes care of."""

    rule: str = Field(min_length=1, max_length=200, description="Rule, as the list shows it.")
    matter: str = Field(min_length=1, max_length=1100, description="Matter, as the list shows it.")


class Tried(BaseModel):
    """Which channel is tried."""

    channel: str = Field(min_length=1, max_length=200, description="Name of the channel.")


class Round(BaseModel):
    """What one round of deliveries came to."""

    sent: Sent | None = Field(description="Counts; null if another process delivers now.")


@router.get("/matters", dependencies=[allow(Scope.READ)])
def list_matters(request: Request, limit: Limit = 100) -> Page[Matter]:
    """List what is going on, oldest first."""
    return Page(items=services_of(request).alerts.open(limit))


@router.post("/acknowledge", status_code=204)
def acknowledge(
    request: Request, taken: Acknowledgement, who: Annotated[Principal, allow(Scope.WRITE)]
) -> None:
    """Say that somebody takes care: it is not told again until it begins anew."""
    services_of(request).alerts.acknowledge(taken.rule, taken.matter, who.name)


@router.get("/rules", dependencies=[allow(Scope.READ)])
def read_rules(request: Request) -> Overview:
    """Return rules and channels with where they stand, and what is wrong with them; never a secret."""
    return services_of(request).alerts.overview()


@router.post("/test", status_code=204, dependencies=[allow(Scope.WRITE)])
def try_channel(request: Request, tried: Tried) -> None:
    """Send a test message to a channel."""
    services_of(request).alerts.test(tried.channel)


@router.get("/log", dependencies=[allow(Scope.READ)])
def read_log(
    request: Request,
    limit: Limit = 100,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only smaller numbers.")] = None,
) -> Page[Delivery]:
    """List the messages, newest first, with what became of each; `next` is `before` of the next request."""
    found = services_of(request).alerts.log(limit, before)
    return Page(items=found, next=str(found[-1].id) if len(found) == limit else None)


@router.post("/deliver", dependencies=[allow(Scope.WRITE)])
def deliver(request: Request) -> Round:
    """Send what is due, once; the studio does it by itself every few seconds."""
    return Round(sent=services_of(request).alerts.deliver())

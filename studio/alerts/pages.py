"""Alerts in the browser."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dteg.alerts.models import Severity
from dteg.core.clock import utc_now
from dteg.core.errors import DtegError
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Principal, Scope, allow
from studio.rendering import Line, Posted, Summary, show
from studio.services import Services, services_of

NAVIGATION = ("Alerts", "/alerts")
DONE = {
    "alert-acknowledged": "You take care of it: it is not told again until it begins anew.",
    "alert-tested": "The test message has arrived.",
}
LONG = (r"/alerts/test",)
router = APIRouter(prefix="/alerts")
SHOWN = 100
_READ, _WRITE = [allow(Scope.READ)], [allow(Scope.WRITE)]
_TONES = {Severity.CRITICAL: "bad", Severity.ERROR: "bad", Severity.WARNING: "warn"}


@router.get("", dependencies=_READ)
def matters(request: Request) -> Response:
    """What is going on."""
    return _matters(request)


@router.post("/acknowledge")
def acknowledge(request: Request, form: Posted, who: Annotated[Principal, allow(Scope.WRITE)]) -> Response:
    """Take care of something."""
    try:
        services_of(request).alerts.acknowledge(form.get("rule", ""), form.get("matter", ""), who.name)
    except DtegError as error:
        return _matters(request, state(form, problem=refusal(error)), 404)
    return go("/alerts", "alert-acknowledged")


@router.get("/rules", dependencies=_READ)
def rules(request: Request) -> Response:
    """Rules and channels."""
    return _rules(request)


@router.post("/test", dependencies=_WRITE)
def try_channel(request: Request, form: Posted) -> Response:
    """Send a test message."""
    name = form.get("channel", "")
    try:
        services_of(request).alerts.test(name)
    except DtegError as error:
        return _rules(request, state(form, problem=f"{name}: {refusal(error)}"), 422)
    return go("/alerts/rules", "alert-tested")


@router.get("/log", dependencies=_READ)
def log(request: Request, before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None) -> Response:
    """What was sent, and what became of it."""
    found = services_of(request).alerts.log(SHOWN, before)
    older = f"/alerts/log?before={found[-1].id}" if len(found) == SHOWN else ""
    return show(request, "alerts_log.html", messages=found, older=older, now=utc_now())


def summary(services: Services) -> Summary:
    """What the home page says."""
    found = services.alerts.open(limit=SHOWN)
    free = [each for each in found if each.acknowledged_at is None]
    worst = sorted(free, key=lambda each: -each.severity.rank)[:5]
    return Summary(
        "Alerts", "/alerts",
        figures=(("going on", str(len(found))), ("nobody takes care of", str(len(free)))),
        lines=tuple(
            Line(each.message.split("\n", 1)[0], "/alerts", each.severity.value, _TONES.get(each.severity, ""))
            for each in worst
        ),
        empty="" if found else "Nothing is going on. See who would be told.",
        tone="bad" if any(each.severity.rank >= Severity.ERROR.rank for each in free) else "",
    )  # fmt: skip


def _matters(request: Request, form: FormState | None = None, status: int = 200) -> Response:
    found = services_of(request).alerts.open(limit=1000)
    return show(
        request, "alerts_list.html", status=status, matters=found, tones=_TONES, form=form or FormState()
    )


def _rules(request: Request, form: FormState | None = None, status: int = 200) -> Response:
    overview = services_of(request).alerts.overview()
    return show(request, "alerts_rules.html", status=status, overview=overview, form=form or FormState())

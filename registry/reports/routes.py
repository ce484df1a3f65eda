"""Abuse reports and moderation over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from registry.access import Principal, Scope, allow
from registry.documents import Page
from registry.parameters import After, IdPath, Limit
from registry.reports.models import (
    Moderate,
    Moderated,
    ModerationKind,
    NewReport,
    QueueAnswer,
    ReportAnswer,
    ReportMade,
    Resolve,
)
from registry.reports.service import made
from registry.services import services_of

router = APIRouter(tags=["reports"])
_REPORT = allow(Scope.REVIEW)
_ADMIN = allow(Scope.ADMIN)


@router.post("/reports", status_code=201)
async def report(request: Request, new: NewReport, who: Principal = _REPORT) -> ReportMade:
    """Report a component, release, review, thread or reply."""
    return made(await services_of(request).reports.create(who, new))


@router.get("/reports")
async def read_reports(
    request: Request,
    *,
    is_open: Annotated[
        bool, Query(alias="open", description="Those that wait, or the resolved ones.")
    ] = True,
    limit: Limit = 50,
    after: After = "",
    who: Principal = _ADMIN,
) -> Page[ReportAnswer]:
    """Return reports, the most urgent first."""
    reports = services_of(request).reports
    found, following = await reports.page(who, is_open=is_open, after=after, limit=limit)
    return Page(items=await reports.answers(found), next=following)


@router.get("/reports/queue")
async def read_queue(request: Request, who: Principal = _ADMIN) -> QueueAnswer:
    """Return how many reports wait, and for how long."""
    return await services_of(request).reports.queue(who)


@router.get("/reports/{report}")
async def read_report(request: Request, report: IdPath, who: Principal = _REPORT) -> ReportMade:
    """Return one's own report, to see what became of it."""
    return made(await services_of(request).reports.get(who, report))


@router.post("/reports/{report}/resolve")
async def resolve_report(
    request: Request, report: IdPath, resolve: Resolve, who: Principal = _ADMIN
) -> ReportAnswer:
    """Quarantine, hide or dismiss."""
    reports = services_of(request).reports
    return (await reports.answers([await reports.resolve(who, report, resolve)]))[0]


@router.post("/moderation/{kind}/{target}")
async def moderate(
    request: Request, kind: ModerationKind, target: IdPath, body: Moderate, who: Principal = _ADMIN
) -> Moderated:
    """Hide or show a review, thread or reply; lock or unlock a thread."""
    await services_of(request).reports.moderate(who, kind, target, body.action, body.reason)
    return Moderated(kind=kind, id=target, action=body.action)

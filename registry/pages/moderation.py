"""Reports by anybody, and what administrators do with texts."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go, inside
from dteg.webapp.problems import LimitedError
from registry.access import Principal, Scope, allow
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.rendering import show
from registry.parameters import IdPath
from registry.reports.models import Moderate, ModerationAction, ModerationKind, NewReport, ReportReason
from registry.services import services_of

router = APIRouter()
_REPORT = allow(Scope.REVIEW)
_ADMIN = allow(Scope.ADMIN)
_DONE = {
    ModerationAction.HIDE: "hidden",
    ModerationAction.SHOW: "shown",
    ModerationAction.LOCK: "locked",
    ModerationAction.UNLOCK: "unlocked",
}
_REASONS = (
    (ReportReason.MALWARE, "It does harm: steals, destroys, hides code"),
    (ReportReason.IMPERSONATION, "It pretends to be somebody else's"),
    (ReportReason.LICENCE, "It breaks a licence or copyright"),
    (ReportReason.ABUSE, "A text is abusive"),
    (ReportReason.SPAM, "It is spam"),
    (ReportReason.OTHER, "Something else"),
)


@router.get("/report")
async def report_form(request: Request, target: str = "", who: Principal = _REPORT) -> Response:
    """The form."""
    form = state({"target": target[:200]})
    return show(request, who, "report.html", form=form, reasons=_REASONS, back=_back(target))


@router.post("/report")
async def report(request: Request, form: Posted, who: Principal = _REPORT) -> Response:
    """Report something."""
    given = {name: form.get(name, "") for name in ("target", "reason", "text")}
    new, errors = read(NewReport, given)
    problem, status = "", 422
    if new is not None:
        try:
            made = await services_of(request).reports.create(who, new)
            return go(f"/c/{made.component}", "reported")
        except LimitedError as error:
            problem, status = str(error), 429
        except DtegError as error:
            problem = refusal(error)
    return show(
        request, who, "report.html", status=status, form=state(form, errors, problem), reasons=_REASONS,
        back=_back(form.get("target", "")),
    )  # fmt: skip


@router.post("/moderation/{kind}/{target}")
async def moderate(
    request: Request, kind: ModerationKind, target: IdPath, form: Posted, who: Principal = _ADMIN
) -> Response:
    """Hide or show a text, lock or unlock a thread."""
    body, errors = read(Moderate, {"action": form.get("action", ""), "reason": form.get("reason", "")})
    back = inside(form.get("next", ""), "/admin")
    if body is None:
        return show(
            request, who, "error.html", status=422, code=422, heading="That does not fit",
            detail=" ".join(errors.values()), problems=[], number="",
        )  # fmt: skip
    await services_of(request).reports.moderate(who, kind, target, body.action, body.reason)
    return go(back, _DONE[body.action])


def _back(target: str) -> str:
    """Return the page of what is reported, as far as the target tells."""
    kind, _, name = target.partition(":")
    return inside(f"/c/{name.partition('@')[0]}") if kind in ("component", "release") else "/"

"""What administrators see: the queue of reports, releases that wait or are withheld, namespaces."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Principal, Scope, allow
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.rendering import show
from registry.parameters import After, IdPath
from registry.releases.models import UNPROVEN, State
from registry.reports.models import Resolve
from registry.services import services_of

router = APIRouter(prefix="/admin")
_ADMIN = allow(Scope.ADMIN)
_PER_PAGE = 20


@router.get("")
async def admin(
    request: Request, after: After = "", resolved: bool = False, who: Principal = _ADMIN
) -> Response:
    """The queue."""
    return await _page(request, who, after, resolved=resolved)


@router.post("/reports/{report}")
async def resolve(request: Request, report: IdPath, form: Posted, who: Principal = _ADMIN) -> Response:
    """Quarantine, hide or dismiss."""
    body, errors = read(Resolve, {"action": form.get("action", ""), "note": form.get("note", "")})
    problem = ""
    if body is not None:
        try:
            await services_of(request).reports.resolve(who, report, body)
            return go("/admin", "resolved")
        except DtegError as error:
            problem = refusal(error)
    return await _page(request, who, "", state({**form, "report": report}, errors, problem))


@router.post("/namespaces")
async def verify(request: Request, form: Posted, who: Principal = _ADMIN) -> Response:
    """Say whether it is known who is behind a namespace."""
    verified = form.get("verified", "true") == "true"
    try:
        await services_of(request).namespaces.set_verified(who, form.get("namespace", ""), verified)
    except DtegError as error:
        return await _page(request, who, "", state(form, problem=refusal(error)))
    return go("/admin", "verified" if verified else "unverified", "namespaces")


async def _page(
    request: Request, who: Principal, after: str, form: FormState | None = None, *, resolved: bool = False
) -> Response:
    services = services_of(request)
    found, following = await services.reports.page(who, is_open=not resolved, after=after, limit=_PER_PAGE)
    return show(
        request, who, "admin.html", status=422 if form else 200, queue=await services.reports.queue(who),
        reports=await services.reports.answers(found), following=following, resolved=resolved, form=form or FormState(),
        waiting=await services.releases.in_state(*UNPROVEN, limit=50),
        withheld=await services.releases.in_state(State.QUARANTINED, limit=50),
        registry_id=services.settings.public_url,
    )  # fmt: skip

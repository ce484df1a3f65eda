"""One release: its page, its gates, and what its maintainers may do with it."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Anybody, Principal, Scope, allow
from registry.components.models import NewDeprecation
from registry.components.routes import Name, Slug
from registry.gates.models import GateRun
from registry.pages.components import statements_of
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.rendering import show
from registry.pages.shown import matrix, shown
from registry.releases.models import UNPROVEN, NewRollout, Reason
from registry.releases.routes import Version
from registry.services import services_of

router = APIRouter(prefix="/c/{ns}/{slug}")
_PUBLISH = allow(Scope.PUBLISH)
_ADMIN = allow(Scope.ADMIN)


@router.get("/versions/{version}")
async def release(request: Request, ns: Name, slug: Slug, version: Version, who: Anybody) -> Response:
    """One release."""
    return await _release(request, who, ns, slug, version)


@router.get("/gates/{version}")
async def gates(request: Request, ns: Name, slug: Slug, version: Version, who: Anybody) -> Response:
    """What the gates found; while they run, the page asks again by itself."""
    services = services_of(request)
    it = await shown(request, who, ns, slug, version)
    assert it.release is not None
    run = await services.gates.report(it.release.id)
    return show(
        request, who, "gates.html", it=it, tab="gates", results=run.in_order() if run else [], report=_report(run),
        running=it.release.state in UNPROVEN, run=run,
    )  # fmt: skip


@router.post("/versions/{version}/yank")
async def yank(  # noqa: PLR0917 - parameters of a page
    request: Request, ns: Name, slug: Slug, version: Version, form: Posted, who: Principal = _PUBLISH
) -> Response:
    """Keep new installations from taking it."""
    reason, errors = read(Reason, {"reason": form.get("reason", "")})
    if reason is None:
        return await _release(request, who, ns, slug, version, state(form, errors))
    return await _done(
        request, who, ns, slug, version, form, "yanked", _yank(request, who, ns, slug, version, reason.reason)
    )


@router.post("/versions/{version}/unyank")
async def unyank(  # noqa: PLR0917 - parameters of a page
    request: Request, ns: Name, slug: Slug, version: Version, form: Posted, who: Principal = _PUBLISH
) -> Response:
    """List it again."""
    return await _done(
        request, who, ns, slug, version, form, "unyanked", _yank(request, who, ns, slug, version, None)
    )


@router.post("/versions/{version}/rollout")
async def rollout(  # noqa: PLR0917 - parameters of a page
    request: Request, ns: Name, slug: Slug, version: Version, form: Posted, who: Principal = _PUBLISH
) -> Response:
    """Say how far it may go."""
    given: dict[str, Any] = {"percent": form.get("percent") or None, "halted": form.get("halted") == "true"}
    new, errors = read(NewRollout, given)
    if new is None:
        return await _release(request, who, ns, slug, version, state(form, errors))
    work = services_of(request).releases.set_rollout(who, f"{ns}/{slug}@{version}", new)
    return await _done(request, who, ns, slug, version, form, "rollout", work)


@router.post("/versions/{version}/quarantine")
async def quarantine(  # noqa: PLR0917 - parameters of a page
    request: Request, ns: Name, slug: Slug, version: Version, form: Posted, who: Principal = _ADMIN
) -> Response:
    """Withhold it from everybody."""
    reason, errors = read(Reason, {"reason": form.get("reason", "")})
    if reason is None:
        return await _release(request, who, ns, slug, version, state(form, errors))
    work = services_of(request).releases.quarantine(who, f"{ns}/{slug}@{version}", reason.reason)
    return await _done(request, who, ns, slug, version, form, "quarantined", work)


@router.post("/versions/{version}/unquarantine")
async def unquarantine(  # noqa: PLR0917 - parameters of a page
    request: Request, ns: Name, slug: Slug, version: Version, form: Posted, who: Principal = _ADMIN
) -> Response:
    """Give it back."""
    work = services_of(request).releases.quarantine(who, f"{ns}/{slug}@{version}", None)
    return await _done(request, who, ns, slug, version, form, "released", work)


@router.post("/deprecation")
async def deprecate(
    request: Request, ns: Name, slug: Slug, form: Posted, who: Principal = _PUBLISH
) -> Response:
    """Say that nobody should begin to use the component, or take it back."""
    errors: dict[str, str] = {}
    new, problem = None, ""
    if not form.get("undo"):
        new, errors = read(
            NewDeprecation, {"reason": form.get("reason", ""), "replacement": form.get("replacement", "")}
        )
    if not errors:
        try:
            await services_of(request).components.deprecate(who, f"{ns}/{slug}", new)
            return go(f"/c/{ns}/{slug}/versions", "deprecated" if new else "undeprecated")
        except DtegError as error:
            problem = refusal(error)
    it = await shown(request, who, ns, slug)
    return show(
        request, who, "versions.html", status=422, it=it, tab="versions", proven={}, form=state(form, errors, problem)
    )  # fmt: skip


async def _yank(  # noqa: PLR0917 - what the page needs
    request: Request, who: Principal, ns: str, slug: str, version: str, reason: str | None
) -> None:
    await services_of(request).releases.yank(who, f"{ns}/{slug}@{version}", reason)


async def _done(  # noqa: PLR0917 - what the page needs
    request: Request, who: Principal, ns: str, slug: str, version: str, form: dict[str, str], done: str, work: Any
) -> Response:  # fmt: skip
    """Do it, and say so; or show the page again with why not."""
    try:
        await work
    except DtegError as error:
        return await _release(request, who, ns, slug, version, state(form, problem=refusal(error)))
    return go(f"/c/{ns}/{slug}/versions/{version}", done)


async def _release(  # noqa: PLR0917 - what the page needs
    request: Request, who: Principal, ns: str, slug: str, version: str, form: FormState | None = None
) -> Response:
    services = services_of(request)
    it = await shown(request, who, ns, slug, version)
    assert it.release is not None
    (answer,) = await services.releases.answer([it.release])
    cells = await services.gates.cells([it.release.id])
    return show(
        request, who, "release.html", status=422 if form else 200, it=it, tab="versions", release=answer,
        cells=matrix(cells), statements=await statements_of(services, it), form=form or FormState(),
    )  # fmt: skip


def _report(run: GateRun | None) -> dict[str, Any]:
    """Return rules, environment and score of a run; {} until it ended."""
    if run is None or run.report is None:
        return {}
    return {name: value if isinstance(value, dict) else json.loads(json.dumps(value, default=str)) for name, value in run.report.items()}  # fmt: skip

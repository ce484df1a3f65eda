"""Licences of paid components: what one may use, what a publisher has given or sold, what an organisation has."""

from datetime import date

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Principal, Role, Scope, allow
from registry.licences.models import NewLicence, TokenWish
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.publisher import paid_components, publisher
from registry.pages.rendering import show
from registry.parameters import After, IdPath, NamespacePath
from registry.services import services_of

router = APIRouter()
_MANAGE = allow(Scope.NAMESPACE)
_INSTALL = allow(Scope.INSTALL)
_OF = "/n/{ns}/licences"
_PER_PAGE = 50
_LIVES = ((24, "a day"), (24 * 7, "7 days"), (24 * 30, "30 days"))


@router.get("/account/licences")
async def usable(request: Request, after: After = "", who: Principal = _INSTALL) -> Response:
    """What one may use as a member of organisations."""
    return await _usable(request, who, after)


@router.post("/account/licences/{licence}/token")
async def entitle(request: Request, licence: IdPath, form: Posted, who: Principal = _INSTALL) -> Response:
    """Make an entitlement and show it once."""
    wish, errors = read(TokenWish, {"hours": form.get("hours", "24")})
    problem, made = " ".join(errors.values()), None
    if wish is not None:
        try:
            made = await services_of(request).licences.entitle(who, licence, wish.hours)
        except DtegError as error:
            problem = refusal(error)
    return await _usable(request, who, "", made=made, form=state({}, problem=problem))


@router.get(_OF)
async def licences(
    request: Request, ns: NamespacePath, after: After = "", who: Principal = _MANAGE
) -> Response:
    """What a namespace has given or sold, and what it has."""
    return await _licences(request, who, ns, after)


@router.post(_OF)
async def give(request: Request, ns: NamespacePath, form: Posted, who: Principal = _MANAGE) -> Response:
    """Give an organisation a licence, or change the one it has."""
    services = services_of(request)
    await services.namespaces.require(who, ns, Role.OWNER)
    given = {name: form[name] for name in ("organisation", "seats") if form.get(name)}
    new, errors = read(NewLicence, {**given, "until": _end_of(form.get("until", ""))})
    if "until" in errors:
        errors["until"] = "Until: write a date, such as 2027-01-31."
    problem = ""
    if new is not None:
        try:
            await services.licences.give(who, f"{ns}/{form.get('component', '')}", new)
            return go(f"/n/{ns}/licences", "licence-given")
        except DtegError as error:
            problem = refusal(error)
    return await _licences(request, who, ns, "", state(form, errors, problem))


@router.post(f"{_OF}/{{licence}}/revoke")
async def revoke(
    request: Request, ns: NamespacePath, licence: IdPath, _: Posted, who: Principal = _MANAGE
) -> Response:
    """Take a licence back at once."""
    await services_of(request).licences.revoke(who, licence)
    return go(f"/n/{ns}/licences", "licence-revoked")


@router.post(f"{_OF}/{{licence}}/seats")
async def free_seat(
    request: Request, ns: NamespacePath, licence: IdPath, form: Posted, who: Principal = _MANAGE
) -> Response:
    """Take a seat from an account, so that another can have it."""
    await services_of(request).licences.free_seat(who, licence, form.get("login", ""))
    return go(f"/n/{ns}/licences", "seat-freed", f"licence-{licence}")


async def _usable(
    request: Request, who: Principal, after: str, *, made: object = None, form: FormState | None = None
) -> Response:
    found = await services_of(request).licences.holdings.usable(who, after=after, limit=_PER_PAGE)
    return show(
        request, who, "entitlements.html", status=422 if form and form.problem else 200, entitled=found, made=made,
        lives=_LIVES, form=form or FormState(), following=found[-1].id if len(found) == _PER_PAGE else None,
    )  # fmt: skip


async def _licences(
    request: Request, who: Principal, ns: str, after: str, form: FormState | None = None
) -> Response:
    services = services_of(request)
    it = await publisher(request, who, ns, least=Role.MAINTAINER)
    found = await services.licences.of(who, after=after, limit=_PER_PAGE, namespace=ns)
    return show(
        request, who, "licences.html", status=422 if form else 200, it=it, tab="licences",
        sold=[services.licences.answer(each) for each in found if each.seller == ns],
        had=[services.licences.answer(each) for each in found if each.organisation == ns],
        seats=await services.licences.holdings.seated(found), following=found[-1].key if len(found) == _PER_PAGE else None,
        paid=await paid_components(request, ns), form=form or FormState(),
        today=services.clock().date(),
    )  # fmt: skip


def _end_of(day: str) -> str:
    """Return the end of a day in UTC; "" if it is none."""
    try:
        return f"{date.fromisoformat(day)}T23:59:59Z"
    except ValueError:
        return ""

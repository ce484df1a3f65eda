"""Forgotten passwords and confirmed addresses: what the links in mails lead to."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Anybody, Principal, Scope, allow
from registry.accounts.models import Confirmation, Reset, ResetWish
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.rendering import show
from registry.services import services_of

router = APIRouter()
_OWN = allow(Scope.ACCOUNT)


@router.get("/forgot")
async def forgot_form(request: Request, who: Anybody) -> Response:
    """The form that asks for a link."""
    return _page(request, who, "forgot.html", FormState())


@router.post("/forgot")
async def forgot(request: Request, who: Anybody, form: Posted) -> Response:
    """Send a link; whether there is such an account is not told."""
    wish, errors = read(ResetWish, {"email": form.get("email", "")})
    problem = ""
    if wish is not None:
        try:
            services_of(request).accounts.recovery.ask_reset(wish.email)
            return go("/login", "link-sent")
        except DtegError as error:
            problem = refusal(error)
    return _page(request, who, "forgot.html", state(form, errors, problem), 422)


@router.get("/reset")
async def reset_form(request: Request, who: Anybody, link: str = "") -> Response:
    """The form for a new password."""
    return _page(request, who, "reset.html", state({"link": link[:100]}))


@router.post("/reset")
async def reset(request: Request, who: Anybody, form: Posted) -> Response:
    """Set a password with a link."""
    given = {name: form[name] for name in ("link", "password") if form.get(name)}
    wish, errors = read(Reset, given)
    problem = ""
    if wish is not None:
        try:
            await services_of(request).accounts.recovery.reset(wish.link, wish.password)
            return go("/login", "password-set")
        except DtegError as error:
            problem = refusal(error)
    return _page(request, who, "reset.html", state(form, errors, problem), 422)


@router.get("/verify")
async def verify_form(request: Request, who: Anybody, link: str = "") -> Response:
    """A button, as programs that look through mails follow links but press no buttons."""
    return _page(request, who, "verify.html", state({"link": link[:100]}))


@router.post("/verify")
async def verify(request: Request, who: Anybody, form: Posted) -> Response:
    """Confirm an address with a link."""
    given, errors = read(Confirmation, {"link": form.get("link", "")})
    problem = " ".join(errors.values())
    if given is not None:
        try:
            await services_of(request).accounts.recovery.verify(given.link)
            return go("/account" if who.known else "/login", "verified-email")
        except DtegError as error:
            problem = refusal(error)
    return _page(request, who, "verify.html", state(form, problem=problem), 422)


@router.post("/account/email/verification")
async def ask_verification(request: Request, _: Posted, who: Principal = _OWN) -> Response:
    """Send a link that confirms the address."""
    accounts = services_of(request).accounts
    accounts.recovery.ask_verification(await accounts.get(who.user_id))
    return go("/account", "link-sent")


def _page(request: Request, who: Principal, template: str, form: FormState, status: int = 200) -> Response:
    answer = show(
        request, who, template, status=status, form=form, mails=services_of(request).accounts.recovery.configured
    )  # fmt: skip
    # The address holds a link that is as good as a password.
    answer.headers["Cache-Control"] = "private, no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer

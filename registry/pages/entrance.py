"""Joining, logging in and out, and the colours of the pages."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DeniedError, DtegError
from dteg.webapp.addresses import address_of
from dteg.webapp.pages import go, inside
from dteg.webapp.problems import LimitedError
from dteg.webkit.pages import THEMES
from registry.access import Anybody
from registry.accounts.models import NewAccount
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.rendering import THEME_COOKIE, show
from registry.services import services_of

router = APIRouter()
_YEAR_S = 31_536_000


@router.get("/login")
async def login_form(request: Request, who: Anybody, next: str = "/") -> Response:  # noqa: A002 - name in addresses
    """The form."""
    if who.known:
        return go(inside(next))
    mails = services_of(request).accounts.recovery.configured
    return show(request, who, "login.html", form=state({"next": inside(next)}), mails=mails)


@router.post("/login")
async def login(request: Request, who: Anybody, form: Posted) -> Response:
    """Log in."""
    services = services_of(request)
    try:
        account = await services.accounts.authenticate(
            form.get("login", ""), form.get("password", ""), address_of(request)
        )
    except (DeniedError, LimitedError) as error:
        status = 429 if isinstance(error, LimitedError) else 401
        problem = "Too many failed logins. Wait a moment." if status == 429 else "Wrong login or password."
        mails = services.accounts.recovery.configured
        return show(request, who, "login.html", status=status, form=state(form, problem=problem), mails=mails)
    return await _enter(request, account, inside(form.get("next", "/")), "logged-in")


@router.get("/join")
async def join_form(request: Request, who: Anybody) -> Response:
    """The form."""
    open_to_all = services_of(request).settings.open_accounts
    return show(request, who, "join.html", form=state({}), open_to_all=open_to_all)


@router.post("/join")
async def join(request: Request, who: Anybody, form: Posted) -> Response:
    """Make an account and log in to it."""
    services = services_of(request)
    wanted = {name: form[name] for name in ("login", "email", "password") if form.get(name)}
    new, errors = read(NewAccount, wanted)
    problem = ""
    if new is not None:
        try:
            account = await services.accounts.create(new)
            return await _enter(request, account, "/account", "joined")
        except DtegError as error:
            problem = refusal(error)
    return show(
        request, who, "join.html", status=422, form=state(form, errors, problem), open_to_all=services.settings.open_accounts
    )  # fmt: skip


@router.post("/logout")
async def logout(request: Request, _: Anybody, _form: Posted) -> Response:
    """Log out."""
    tokens = services_of(request).tokens
    if cookie := request.cookies.get(tokens.cookie, ""):
        await tokens.close_session(cookie)
    answer = go("/", "logged-out")
    tokens.set_cookie(answer, "")
    return answer


@router.post("/theme")
async def theme(request: Request, _: Anybody, form: Posted) -> Response:
    """Choose colours, for browsers without scripts."""
    wanted = form.get("theme", "")
    wanted = wanted if wanted in THEMES else ""
    answer = go(inside(form.get("next", "/")))
    secure = services_of(request).settings.public_url.startswith("https://")
    # Read by the script that switches without a reload, so not HttpOnly; it holds nothing but a word.
    answer.set_cookie(
        THEME_COOKIE, wanted, max_age=_YEAR_S if wanted else 0, path="/", samesite="lax", secure=secure
    )
    return answer


async def _enter(request: Request, account: object, path: str, done: str) -> Response:
    tokens = services_of(request).tokens
    if cookie := request.cookies.get(tokens.cookie, ""):
        await tokens.close_session(cookie)  # never go on with a session that somebody else may know
    answer = go(path, done)
    tokens.set_cookie(answer, await tokens.open_session(account))  # type: ignore[arg-type]
    return answer

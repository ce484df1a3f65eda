"""Logging in and out, and the colours of the pages."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dteg.webapp.forms import state
from dteg.webapp.pages import MAX_URL, go, inside
from dteg.webkit.pages import THEMES
from studio.access import Anybody
from studio.credentials import OWNER
from studio.rendering import THEME_COOKIE, Posted, show
from studio.services import services_of

router = APIRouter()
_YEAR_S = 31_536_000
_Next = Annotated[str, Query(max_length=MAX_URL)]
_Code = Annotated[str, Query(max_length=200)]


@router.get("/login")
def login_form(request: Request, who: Anybody, next: _Next = "/", code: _Code = "") -> Response:  # noqa: A002
    """Log in with the code of a link, or show the form."""
    credentials = services_of(request).credentials
    if code and credentials.use_code(code):
        return _enter(request, credentials.log_in(OWNER), inside(next))
    if who.known:
        return go(inside(next))
    problem = "This link was used already, or is too old. Ask for a new one." if code else ""
    return show(
        request,
        "login.html",
        status=401 if code else 200,
        form=state({"next": inside(next)}, problem=problem),
    )


@router.post("/login")
def login(request: Request, _: Anybody, form: Posted) -> Response:
    """Log in with a token."""
    credentials = services_of(request).credentials
    who = credentials.by_token(form.get("token", ""))
    if not who.known:
        problem = "This token is wrong, expired or revoked."
        return show(
            request,
            "login.html",
            status=401,
            form=state({"next": inside(form.get("next", "/"))}, problem=problem),
        )
    return _enter(request, credentials.log_in(who), inside(form.get("next", "/")))


@router.post("/logout")
def logout(request: Request, who: Anybody, _form: Posted) -> Response:
    """Log out."""
    credentials = services_of(request).credentials
    if who.cookie:
        credentials.log_out(who.cookie)
    answer = go("/login", "logged-out")
    credentials.set_cookie(answer, "")
    return answer


@router.post("/theme")
def theme(request: Request, _: Anybody, form: Posted) -> Response:
    """Choose colours, for browsers without scripts."""
    wanted = form.get("theme", "")
    wanted = wanted if wanted in THEMES else ""
    answer = go(inside(form.get("next", "/")))
    secure = services_of(request).settings.url.startswith("https://")
    # Read by the script that switches without a reload, so not HttpOnly; it holds nothing but a word.
    answer.set_cookie(
        THEME_COOKIE, wanted, max_age=_YEAR_S if wanted else 0, path="/", samesite="lax", secure=secure
    )
    return answer


def _enter(request: Request, cookie: str, path: str) -> Response:
    """Go on with a new login: never with one that somebody else may know."""
    credentials = services_of(request).credentials
    if old := request.cookies.get(credentials.cookie, ""):
        credentials.log_out(old)
    answer = go(path, "logged-in")
    credentials.set_cookie(answer, cookie)
    return answer

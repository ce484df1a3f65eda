"""One's own account: password, tokens, logins, namespaces."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.addresses import address_of
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Principal, Scope, allow
from registry.accounts.models import AccountChange
from registry.pages.forms import Posted, chosen, read, refusal, state
from registry.pages.rendering import show
from registry.services import services_of
from registry.tokens.models import NewToken, TokenAnswer

router = APIRouter(prefix="/account")
_OWN = allow(Scope.ACCOUNT)
_LIVES = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (366, "a year"))
_MEANINGS = {
    Scope.READ: "read what you may see",
    Scope.INSTALL: "download components, paid ones too",
    Scope.REVIEW: "write reviews and discussions",
    Scope.PUBLISH: "publish, yank and deprecate",
    Scope.NAMESPACE: "manage namespaces, members and keys",
    Scope.ACCOUNT: "change this account and its tokens",
    Scope.ADMIN: "administer the registry",
}


@router.get("")
async def account(request: Request, who: Principal = _OWN) -> Response:
    """Everything about the account."""
    return await account_page(request, who)


@router.post("/password")
async def change_password(request: Request, form: Posted, who: Principal = _OWN) -> Response:
    """Set a new password, which ends all logins, and log in again."""
    services = services_of(request)
    given = {name: form[name] for name in ("current_password", "password") if form.get(name)}
    change, errors = read(AccountChange, given)
    if change is not None and change.password is None:
        errors["password"] = "Password: fill this in."  # noqa: S105 - a message
    problem = ""
    if change is not None and not errors:
        try:
            changed = await services.accounts.change(who, change, address_of(request))
        except DtegError as error:
            problem = _wrong(error)
        else:
            answer = go("/account", "sessions-ended")
            services.tokens.set_cookie(answer, await services.tokens.open_session(changed))
            return answer
    return await account_page(request, who, password_form=state({}, errors, problem), status=422)


@router.post("/email")
async def change_email(request: Request, form: Posted, who: Principal = _OWN) -> Response:
    """Set a new address."""
    given = {name: form[name] for name in ("current_password", "email") if form.get(name)}
    change, errors = read(AccountChange, given)
    problem = ""
    if change is not None:
        try:
            await services_of(request).accounts.change(who, change, address_of(request))
            return go("/account", "email")
        except DtegError as error:
            problem = _wrong(error)
    return await account_page(request, who, email_form=state(form, errors, problem), status=422)


@router.post("/tokens")
async def create_token(request: Request, form: Posted, who: Principal = _OWN) -> Response:
    """Make a token and show its secret, which is never shown again."""
    scopes = await chosen(request, "scopes")
    given: dict[str, Any] = {name: form.get(name, "") for name in ("name", "namespace", "component")}
    new, errors = read(NewToken, {**given, "scopes": scopes, "expires_days": form.get("expires_days", "90")})
    problem = ""
    if new is not None:
        try:
            token, secret = await services_of(request).tokens.create(who, new)
            return await account_page(request, who, made=(TokenAnswer.of(token), secret))
        except DtegError as error:
            problem = refusal(error)
    return await account_page(
        request, who, token_form=state(form, errors, problem, scopes=scopes), status=422
    )


@router.post("/tokens/delete")
async def delete_token(request: Request, form: Posted, who: Principal = _OWN) -> Response:
    """Revoke a token at once."""
    await services_of(request).tokens.delete(who, form.get("id", ""))
    return go("/account", "token-deleted", "tokens")


@router.post("/sessions/end")
async def end_sessions(request: Request, _: Posted, who: Principal = _OWN) -> Response:
    """End all other logins of the pages."""
    tokens = services_of(request).tokens
    await tokens.close_other_sessions(who, request.cookies.get(tokens.cookie, ""))
    return go("/account", "sessions-ended", "sessions")


@router.post("/delete")
async def delete(request: Request, form: Posted, who: Principal = _OWN) -> Response:
    """Anonymise the account."""
    services = services_of(request)
    problem = "Write your login to confirm."
    if form.get("confirm", "") == who.login:
        try:
            await services.accounts.delete(who, form.get("current_password", ""), address_of(request))
        except DtegError as error:
            problem = _wrong(error)
        else:
            answer = go("/", "logged-out")
            services.tokens.set_cookie(answer, "")
            return answer
    return await account_page(request, who, delete_form=state({}, {}, problem), status=422)


async def account_page(
    request: Request, who: Principal, *, status: int = 200, made: tuple[TokenAnswer, str] | None = None, **forms: FormState
) -> Response:  # fmt: skip
    """Return the page, with the state of its forms by name."""
    services = services_of(request)
    empty = FormState()
    names = ("password_form", "email_form", "token_form", "namespace_form", "delete_form")
    tokens = [TokenAnswer.of(each) for each in await services.tokens.of(who)]
    cookie = request.cookies.get(services.tokens.cookie, "")
    return show(
        request, who, "account.html", status=status, account=await services.accounts.get(who.user_id), tokens=tokens,
        made=made, namespaces=await services.namespaces.of(who.user_id), lives=_LIVES,
        scopes=[(each, _MEANINGS[each]) for each in Scope if who.may(each)],
        mails=services.accounts.recovery.configured, sessions=await services.tokens.sessions_of(who, cookie), **{name: forms.get(name, empty) for name in names},
    )  # fmt: skip


def _wrong(error: DtegError) -> str:
    """A wrong present password is told on the page, where others errors of credentials lead to the login."""
    from dteg.core.errors import DeniedError

    return "The present password is wrong." if isinstance(error, DeniedError) else refusal(error)

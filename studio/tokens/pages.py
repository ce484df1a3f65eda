"""Tokens in the browser."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from dteg.core.clock import utc_now
from dteg.core.errors import DtegError, NotFoundError
from dteg.tokens.models import MadeToken, NewToken
from dteg.webapp.forms import chosen, read, refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Scope, allow
from studio.rendering import Posted, show
from studio.services import services_of

NAVIGATION = ("Tokens", "/tokens")
DONE = {"token-revoked": "The token was revoked."}
router = APIRouter(prefix="/tokens", dependencies=[allow(Scope.ADMIN)])
_Id = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
_SCOPES = (
    (Scope.READ, "see tables, backups, events and the rest"),
    (Scope.WRITE, "change data and definitions; includes read"),
    (Scope.PUBLISH, "publish messages to topics"),
    (Scope.SUBSCRIBE, "receive messages of topics"),
    (Scope.ADMIN, "restore, delete, make tokens: everything"),
)


@router.get("")
def tokens(request: Request) -> Response:
    """The list, and the form of a new one."""
    return _page(request)


@router.post("")
async def create(request: Request, form: Posted) -> Response:
    """Make a token and show its secret, this once."""
    scopes = await chosen(request, "scopes")
    wanted = {"name": form.get("name", ""), "scopes": scopes, "topics": form.get("topics", "").split(),
              "roles": form.get("roles", "").split()}  # fmt: skip
    new, errors = read(NewToken, {**wanted, "expires_days": form.get("expires_days") or 90})
    return await run_in_threadpool(_create, request, new, state(form, errors, scopes=scopes))


@router.get("/{token_id}/revoke")
def ask(request: Request, token_id: _Id) -> Response:
    """Ask before a token ends."""
    for token in services_of(request).tokens.list():
        if token.id == token_id:
            return show(request, "tokens_revoke.html", token=token)
    raise NotFoundError("there is no such token")


@router.post("/{token_id}/revoke")
def revoke(request: Request, token_id: _Id, _form: Posted) -> Response:
    """End a token."""
    services = services_of(request)
    services.tokens.revoke(token_id)
    services.credentials.forget()
    return go("/tokens", "token-revoked")


def _create(request: Request, new: NewToken | None, form: FormState) -> Response:
    if new is None:
        return _page(request, form)
    try:
        made = services_of(request).tokens.create(new)
    except DtegError as error:
        return _page(request, state(form.given, problem=refusal(error), scopes=list(form.chosen["scopes"])))
    return _page(request, made=made)


def _page(request: Request, form: FormState | None = None, made: MadeToken | None = None) -> Response:
    return show(
        request, "tokens_list.html", status=422 if form else 200, tokens=services_of(request).tokens.list(), made=made,
        form=form or FormState(), scopes=_SCOPES, now=utc_now(),
    )  # fmt: skip

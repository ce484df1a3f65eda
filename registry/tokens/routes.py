"""Tokens and logins over HTTP."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Request, Response

from dteg.core.errors import InputError
from dteg.webapp.addresses import address_of
from registry.access import Anybody, Principal, Scope, allow
from registry.documents import Page
from registry.services import services_of
from registry.tokens.models import Grant, MadeToken, NewToken, Revocation, TokenAnswer

router = APIRouter(tags=["tokens"])
_OWN = allow(Scope.ACCOUNT)
_Field = Annotated[str, Form(max_length=1_000)]


@router.post("/oauth/token")
async def oauth_token(  # noqa: PLR0917 - the fields of a form
    request: Request,
    response: Response,
    _: Anybody,
    grant_type: Annotated[Literal["password", "client_credentials"], Form()],
    username: _Field = "",
    password: _Field = "",
    client_id: _Field = "",
    client_secret: _Field = "",
    scope: _Field = "",
) -> Grant:
    """Exchange a password, or a token (its id as `client_id`, itself as `client_secret`), for a login of minutes."""
    response.headers["Cache-Control"] = "no-store"
    wanted = _scopes(scope)
    tokens = services_of(request).tokens
    if grant_type == "password":
        return await tokens.grant_for_password(username, password, address_of(request), wanted)
    return await tokens.grant_for_token(client_id, client_secret, wanted)


@router.post("/oauth/revoke")
async def oauth_revoke(request: Request, _: Anybody, token: _Field) -> Revocation:
    """End a login or token whose secret you have (RFC 7009); also the answer for one that has ended is 200."""
    return Revocation(revoked=await services_of(request).tokens.revoke(token))


@router.post("/tokens", status_code=201)
async def create_token(request: Request, new: NewToken, who: Principal = _OWN) -> MadeToken:
    """Make a token; its secret is in this answer and nowhere else."""
    token, secret = await services_of(request).tokens.create(who, new)
    return MadeToken(token=secret, **TokenAnswer.of(token).model_dump())


@router.get("/tokens")
async def read_tokens(request: Request, who: Principal = _OWN) -> Page[TokenAnswer]:
    """Return your tokens, the newest first, without their secrets."""
    tokens = await services_of(request).tokens.of(who)
    return Page(items=[TokenAnswer.of(token) for token in tokens])


@router.delete("/tokens/{token_id}", status_code=204)
async def delete_token(
    request: Request, token_id: Annotated[str, Path(pattern=r"^[0-9a-z]{26}$")], who: Principal = _OWN
) -> None:
    """End a token at once."""
    await services_of(request).tokens.delete(who, token_id)


def _scopes(text: str) -> list[Scope]:
    try:
        return [Scope(name) for name in text.split()]
    except ValueError:
        raise InputError(f"scope: there are {', '.join(Scope)}") from None

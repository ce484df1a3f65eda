"""Tokens over HTTP, and links that log a browser in."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from dteg.tokens.models import MadeToken, NewToken, Token
from studio.access import Scope, allow
from studio.answers import After, Limit, Page, page_of
from studio.credentials import CODE_LIFE_S
from studio.services import services_of

router = APIRouter(tags=["tokens"], dependencies=[allow(Scope.ADMIN)])
_Name = Annotated[str, Path(min_length=1, max_length=80, description="Its id or its name.")]


class LoginLink(BaseModel):
    """A link that logs one browser in, once.

    Attributes:
        url: The link.
        expires_in_s: Seconds for which it holds.
    """

    url: str
    expires_in_s: int


@router.post("/tokens", status_code=201)
def create_token(request: Request, new: NewToken) -> MadeToken:
    """Make a token; its secret is in this answer and nowhere else."""
    return services_of(request).tokens.create(new)


@router.get("/tokens")
def list_tokens(request: Request, limit: Limit = 100, after: After = "") -> Page[Token]:
    """List the tokens, without their secrets."""
    return page_of(services_of(request).tokens.list(), limit, after, key=lambda token: token.id)


@router.delete("/tokens/{name}")
def revoke_token(request: Request, name: _Name) -> Token:
    """End a token, and every login that was made with it."""
    services = services_of(request)
    revoked = services.tokens.revoke(name)
    services.credentials.forget()
    return revoked


@router.post("/login-links", status_code=201)
def create_login_link(request: Request) -> LoginLink:
    """Make a link that logs one browser in, once, with all rights."""
    services = services_of(request)
    url = f"{services.settings.url}/login?code={services.credentials.make_code()}"
    return LoginLink(url=url, expires_in_s=int(CODE_LIFE_S))

"""Namespaces over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Request

from registry.access import Anybody, Principal, Scope, allow
from registry.identifiers import NAMESPACE_PATTERN
from registry.namespaces.models import KeyMade, MemberRole, NamespaceAnswer, NewKey, NewNamespace, Verified
from registry.services import services_of

router = APIRouter(prefix="/namespaces", tags=["namespaces"])
_MANAGE = allow(Scope.NAMESPACE)
_ADMIN = allow(Scope.ADMIN)
Name = Annotated[str, Path(pattern=NAMESPACE_PATTERN)]
_Login = Annotated[str, Path(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=39)]


@router.post("", status_code=201)
async def claim_namespace(request: Request, new: NewNamespace, who: Principal = _MANAGE) -> NamespaceAnswer:
    """Claim a name."""
    namespaces = services_of(request).namespaces
    return await namespaces.answer(await namespaces.claim(who, new.name), who)


@router.get("/{ns}")
async def read_namespace(request: Request, ns: Name, who: Anybody) -> NamespaceAnswer:
    """Return a namespace; its readers are shown to its members only."""
    namespaces = services_of(request).namespaces
    return await namespaces.answer(await namespaces.get(ns), who)


@router.put("/{ns}/members/{login}")
async def set_member(
    request: Request, ns: Name, login: _Login, body: MemberRole, who: Principal = _MANAGE
) -> NamespaceAnswer:
    """Add a member, or change its role."""
    namespaces = services_of(request).namespaces
    return await namespaces.answer(await namespaces.set_member(who, ns, login, body.role), who)


@router.delete("/{ns}/members/{login}", status_code=204)
async def remove_member(request: Request, ns: Name, login: _Login, who: Principal = _MANAGE) -> None:
    """Remove a member, or leave."""
    await services_of(request).namespaces.remove_member(who, ns, login)


@router.post("/{ns}/keys", status_code=201)
async def add_key(request: Request, ns: Name, new: NewKey, who: Principal = _MANAGE) -> KeyMade:
    """Register a key that releases may be signed with from now on."""
    key = await services_of(request).namespaces.add_key(who, ns, new)
    return KeyMade(key_id=key.kid)


@router.delete("/{ns}/keys/{key_id}", status_code=204)
async def revoke_key(
    request: Request,
    ns: Name,
    key_id: Annotated[str, Path(pattern=r"^[0-9a-f]{8,64}$")],
    who: Principal = _MANAGE,
) -> None:
    """Refuse what a key signs from now on; what it signed before stays good."""
    await services_of(request).namespaces.revoke_key(who, ns, key_id)


@router.put("/{ns}/verified")
async def set_verified(
    request: Request, ns: Name, body: Verified, who: Principal = _ADMIN
) -> NamespaceAnswer:
    """Say whether it is known who is behind a namespace."""
    namespaces = services_of(request).namespaces
    return await namespaces.answer(await namespaces.set_verified(who, ns, body.verified), who)

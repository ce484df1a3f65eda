"""Attestations, the registry's keys and the public log over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from registry.access import Anybody
from registry.attestations.models import HeadAnswer, Keys, LogAnswer
from registry.documents import Page
from registry.services import services_of

router = APIRouter(tags=["attestations"])
_MAX_PAGE = 500


@router.get("/keys")
async def read_keys(request: Request, _: Anybody) -> Keys:
    """Return the public keys that the registry signs with or has signed with."""
    return Keys(items=await services_of(request).attestations.keys())


@router.get("/attestations/{digest}")
async def read_attestation(
    request: Request, digest: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")], _: Anybody
) -> dict[str, Any]:
    """Return a signed envelope by the SHA-256 of its canonical JSON."""
    return await services_of(request).attestations.get(digest)


@router.get("/log")
async def read_log(
    request: Request,
    _: Anybody,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=_MAX_PAGE)] = 100,
) -> Page[LogAnswer]:
    """Return changes of state of all releases, the oldest first; each holds the hash of the one before."""
    entries = await services_of(request).attestations.page(after, limit)
    items = [LogAnswer(**entry.model_dump()) for entry in entries]
    return Page(items=items, next=str(items[-1].seq) if len(items) == limit else None)


@router.get("/log/head")
async def read_head(request: Request, _: Anybody) -> HeadAnswer:
    """Return the end of the log, signed by the registry."""
    seq, entry_hash, envelope = await services_of(request).attestations.head()
    return HeadAnswer(seq=seq, hash=entry_hash, envelope=envelope)

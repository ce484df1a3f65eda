"""The audit log over HTTP, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from registry.access import Principal, Scope, allow
from registry.audit.models import EntryAnswer
from registry.documents import Line, Page
from registry.hash_chain import Verification
from registry.services import services_of

router = APIRouter(prefix="/audit", tags=["audit"])
_ADMIN = allow(Scope.ADMIN)
_LARGEST = 2**53


@router.get("")
async def read_audit(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int | None, Query(ge=1, le=_LARGEST, description="`next` of the page before.")] = None,
    target: Annotated[Line, Query(max_length=300, description="Only what was done to this id.")] = "",
    actor: Annotated[Line, Query(max_length=100, description="Only what this account id did.")] = "",
    _: Principal = _ADMIN,
) -> Page[EntryAnswer]:
    """Return entries, the newest first."""
    audit = services_of(request).audit
    items = await audit.page(before=after, limit=limit, target=target, actor=actor)
    return Page(items=items, next=str(items[-1].seq) if len(items) == limit else None)


@router.get("/verify")
async def verify_audit(request: Request, _: Principal = _ADMIN) -> Verification:
    """Read the whole chain and tell the first entry that is missing, changed or cut off."""
    return await services_of(request).audit.verify()

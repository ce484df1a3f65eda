"""Gate results over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from registry.access import Anybody
from registry.gates.models import Progress
from registry.releases.routes import ReleaseId
from registry.services import services_of

router = APIRouter(tags=["gates"])


@router.get("/components/{ns}/{slug}/releases/{version}/gates")
async def read_gates(
    request: Request,
    release: ReleaseId,
    _: Anybody,
    after: Annotated[int, Query(ge=0, le=1000)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=25, allow_inf_nan=False)] = 0,
) -> Progress:
    """Return what the gates have found; with `wait_s` wait for more results than `after`."""
    return await services_of(request).gates.progress(release, after, wait_s)

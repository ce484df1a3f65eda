"""One's own use of the limits over HTTP."""

from fastapi import APIRouter, Request

from registry.access import Anybody
from registry.rate_limits.models import Usage
from registry.services import services_of

router = APIRouter(tags=["usage"])


@router.get("/usage")
async def read_usage(request: Request, who: Anybody) -> Usage:
    """Return how much of the limit who asks has used in this minute."""
    return services_of(request).rate_limits.usage(request, who)

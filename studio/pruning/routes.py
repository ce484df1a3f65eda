"""Pruning over HTTP."""

from fastapi import APIRouter, Request

from dteg.pruning.models import PruneOrder, PruneReport
from dteg.pruning.service import Pruning
from studio.access import Scope, allow
from studio.services import services_of

router = APIRouter(tags=["pruning"])
LONG = (r"/api/v1/pruning",)


@router.post("/pruning", dependencies=[allow(Scope.ADMIN)])
def prune(request: Request, order: PruneOrder) -> PruneReport:
    """Remove old runs, events and ticks from Dagster's storage, or only count them."""
    return Pruning.of(services_of(request).project).prune(order)

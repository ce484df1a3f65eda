"""Downloads and installs over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from dteg.webapp.addresses import address_of
from registry.access import Anybody
from registry.downloads.models import DownloadsAnswer, InstallAnswer, ReceiptBody
from registry.identifiers import component_id
from registry.parameters import NamespacePath, SlugPath
from registry.services import services_of

router = APIRouter(tags=["downloads"])


@router.get("/components/{ns}/{slug}/downloads")
async def read_downloads(
    request: Request,
    ns: NamespacePath,
    slug: SlugPath,
    _: Anybody,
    days: Annotated[int, Query(ge=1, le=366, description="How many days, today included.")] = 90,
) -> DownloadsAnswer:
    """Return how much a component is used, and its downloads day by day."""
    services = services_of(request)
    component = await services.components.get(component_id(ns, slug))
    summary = await services.downloads.summary(component.id)
    return DownloadsAnswer(**summary.model_dump(), days=await services.downloads.series(component.id, days))


@router.post("/installs")
async def send_receipt(request: Request, body: ReceiptBody, who: Anybody) -> InstallAnswer:
    """Tell what an installation has, signed by its own key; with a login the account may then write a review."""
    return await services_of(request).downloads.receive(who, body, address_of(request))

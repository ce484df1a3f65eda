"""What watches the registry asks."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from registry.access import Anybody
from registry.documents import Answer
from registry.problems import unavailable
from registry.services import services_of

router = APIRouter(tags=["health"])


class Status(Answer):
    """That all is well."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def healthz(_: Anybody) -> Status:
    """Answer as long as the process lives: restart it when this fails."""
    return Status()


@router.get("/readyz", response_model=Status)
async def readyz(request: Request, _: Anybody) -> Status | Response:
    """Answer 200 when reads and writes work, else 503: send no requests here meanwhile."""
    return Status() if await services_of(request).health.ready() else unavailable()


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, _: Anybody) -> PlainTextResponse:
    """Return the counters of this process, for Prometheus; they hold no names."""
    text = await services_of(request).health.metrics()
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

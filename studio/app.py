"""The web service: all concepts put together."""

import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import chain
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from dteg import __version__
from dteg.core.problem_codes import CODES
from dteg.core.project import Project
from dteg.webapp import openapi, pages
from dteg.webapp.access import refuse_undeclared
from dteg.webapp.guard import add_middleware
from dteg.webapp.problems import add_handlers
from studio.background import Background, Worker
from studio.rendering import STATIC, kit, part_of, show
from studio.services import Services
from studio.settings import StudioSettings
from studio.surroundings import StudioSurroundings

API = "/api/v1"
# Concepts in the order of the navigation, below the headings they have there. A concept is a folder with any of
# `routes.py` (below /api/v1), `pages.py` and `worker.py`. `LONG` in its routes or pages is a tuple of patterns of whole
# paths whose requests carry files or take longer than a minute to begin their answer.
GROUPS = {
    "": ("home",),
    "Data": ("tables", "sources", "dictionaries", "normalize"),
    "Analysis": ("datasets", "snapshots", "charts", "dashboards", "metadata"),
    "Operations": ("schema_changes", "backups", "cron", "topics", "alerts", "pruning"),
    "Access": ("tokens", "entrance"),
}
CONCEPTS = tuple(chain.from_iterable(GROUPS.values()))
_FOR_PROGRAMS = ("/api/v1/", "/static/", "/healthz", "/readyz")
_TOKEN = {"type": "http", "scheme": "bearer", "description": "A token: dteg studio token create."}


def create_app(settings: StudioSettings, services: Services | None = None) -> FastAPI:
    """Return the studio as an ASGI application.

    Args:
        settings: What the studio was told.
        services: The services to use; default: those of the project at or above the current folder.
    """
    services = services or Services(Project.find(), settings)
    app = FastAPI(
        title="dteg studio",
        version=__version__,
        summary="Tables, backups, topics and the rest of a dteg project.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.services = services
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    add_handlers(app, CODES)
    routes, long = _routes()
    app.router.routes.extend(routes.routes)
    pages.install(app, kit().assets, _error_page, _FOR_PROGRAMS)
    add_middleware(app, StudioSurroundings(services, long))
    refuse_undeclared(app, but=[STATIC])
    services.background.extend(_workers(services))
    return app


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    return openapi.describe(app, {"token": _TOKEN}, [{"token": []}])


@cache
def _routes() -> tuple[APIRouter, tuple[str, ...]]:
    """Return the routes of all concepts, and the patterns of the paths that take long.

    They know no services, so all apps of a process share them: FastAPI takes long to read their parameters.
    """
    router, long = APIRouter(), list[str]()
    for concept in ("health", *CONCEPTS):
        routes, concept_pages = part_of(concept, "routes"), part_of(concept, "pages")
        if routes is not None:
            router.include_router(routes.router, prefix="" if concept == "health" else API)
        if concept_pages is not None:
            router.include_router(concept_pages.router, include_in_schema=False)
        for module in (routes, concept_pages):
            long.extend(getattr(module, "LONG", ()))
    return router, tuple(long)


def _workers(services: Services) -> list[Worker]:
    found = []
    for concept in CONCEPTS:
        module = part_of(concept, "worker")
        for _, kind in inspect.getmembers(module, inspect.isclass) if module else ():
            if issubclass(kind, Worker) and kind.__module__ == module.__name__:  # type: ignore[union-attr]
                found.append(kind(services))
    return found


def _error_page(request: Request, *, status: int, **values: Any) -> Response:
    return show(request, "error.html", status=status, **values)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    from starlette.concurrency import run_in_threadpool

    services: Services = app.state.services
    background = Background(services)
    if services.settings.background:
        background.start()
    try:
        yield
    finally:
        services.stopping.set()
        await run_in_threadpool(background.stop)
        await run_in_threadpool(services.close)

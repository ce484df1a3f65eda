"""The web service: all concepts put together."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module

from fastapi import APIRouter, FastAPI

from dteg import __version__
from dteg.webapp.access import refuse_undeclared
from registry.middleware import add_middleware
from registry.openapi import describe
from registry.problems import add_handlers
from registry.services import Services
from registry.settings import RegistrySettings

API = "/api/v1"
STATIC = "/static"  # files of the pages, mounted as they are
CONCEPTS = (
    "accounts",
    "attestations",
    "audit",
    "components",
    "discussions",
    "downloads",
    "gates",
    "licences",
    "namespaces",
    "rate_limits",
    "releases",
    "reports",
    "reviews",
    "search",
    "tokens",
    "webhooks",
)


def create_app(
    settings: RegistrySettings, services: Services | None = None, *, owns_process: bool = False
) -> FastAPI:
    """Return the registry as an ASGI application.

    Args:
        settings: What the registry was told.
        services: The services to use; default: new ones, closed with the app.
        owns_process: Whether the process does nothing else.
    """
    services = services or Services(settings)
    app = FastAPI(
        title="dteg registry",
        version=__version__,
        summary="Components that are listed only after proof.",
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.services, app.state.owns_process = services, owns_process
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    add_handlers(app)
    app.router.routes.extend(_routes().routes)
    import_module("registry.pages.setup").install(app)
    add_middleware(app, services)
    refuse_undeclared(app, but=[STATIC, str(app.openapi_url)])
    return app


@cache
def _routes() -> APIRouter:
    """Return the routes of all concepts. They know no services, so all apps of a process share them.

    FastAPI takes 0.2 s to read their 350 parameters.
    """
    routes = APIRouter()
    # Routes are tried in their order, and each one tried costs about 5 us: what is asked for most comes first.
    routes.include_router(import_module("registry.index.routes").router)
    for concept in sorted(CONCEPTS, key=lambda concept: concept != "search"):
        routes.include_router(import_module(f"registry.{concept}.routes").router, prefix=API)
    for place in ("health", "pages"):
        routes.include_router(import_module(f"registry.{place}.routes").router)
    return routes


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await services.open()
    if app.state.owns_process:
        # Index and search stay: looking for garbage in them would hold up all requests, 0.1 s each time.
        gc.collect()
        gc.freeze()
    try:
        yield
    finally:
        await services.close()

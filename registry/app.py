"""The web service: all concepts put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from fastapi import FastAPI

from dteg import __version__
from dteg.core.errors import DtegError
from registry.access import routes_of
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


def create_app(settings: RegistrySettings, services: Services | None = None) -> FastAPI:
    """Return the registry as an ASGI application.

    Args:
        settings: What the registry was told.
        services: The services to use; default: new ones, closed with the app.
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
    app.state.services = services
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    add_handlers(app)
    # Routes are tried in their order, and each one tried costs about 5 us: what is asked for most comes first.
    app.include_router(import_module("registry.index.routes").router)
    for concept in sorted(CONCEPTS, key=lambda concept: concept != "search"):
        app.include_router(import_module(f"registry.{concept}.routes").router, prefix=API)
    for place in ("health", "pages"):
        app.include_router(import_module(f"registry.{place}.routes").router)
    import_module("registry.pages.setup").install(app)
    add_middleware(app, services)
    _refuse_undeclared(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await services.open()
    try:
        yield
    finally:
        await services.close()


def _refuse_undeclared(app: FastAPI) -> None:
    """A route without a declared access would be open by accident."""
    bare = [
        route.path
        for route in routes_of(app)
        if route.access is None and route.path not in (app.openapi_url, STATIC)
    ]
    if bare:
        raise DtegError(f"routes that declare no access: {', '.join(sorted(bare))}")

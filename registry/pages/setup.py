"""What the pages change about the app: static files, and errors that people can read."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from dteg.webapp import pages
from registry.access import NOBODY
from registry.pages.rendering import kit, show

_FOR_PROGRAMS = ("/api/", "/simple", "/files/", "/static/", "/healthz", "/readyz", "/metrics")


def install(app: FastAPI) -> None:
    """Mount the static files, and let browsers see errors as pages."""
    pages.install(app, kit().assets, _error, _FOR_PROGRAMS)


def _error(request: Request, *, status: int, **values: Any) -> Response:
    who = getattr(request.state, "principal", None) or NOBODY
    return show(request, who, "error.html", status=status, **values)

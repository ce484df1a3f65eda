"""What is special about the requests of a registry: what they may take, and that they are counted."""

import logging

from fastapi import FastAPI
from starlette.types import ASGIApp, Scope

from dteg.webapp import guard
from dteg.webapp.guard import MEGABYTE, SAFE_METHODS, Limits, Surroundings
from registry.problems import unavailable
from registry.services import Services

# A wheel of 10 MB, the form around it and the signature.
UPLOAD_BYTES = 11 * MEGABYTE
UPLOAD_PATHS = frozenset({"/api/v1/releases", "/publish"})


def add_middleware(app: FastAPI, services: Services) -> None:
    """Put the layers around an app."""
    guard.add_middleware(app, RegistrySurroundings(services))


class RegistrySurroundings(Surroundings):
    """Around the requests of a registry.

    Args:
        services: For the settings, the counters, and whether the database is prepared.
    """

    name = "registry"
    access_log = logging.getLogger("registry.access")
    free = ("/files/", "/simple/")  # answered from caches, never limited or compressed here

    def __init__(self, services: Services) -> None:
        self._services = services
        self.https = services.settings.public_url.startswith("https://")

    def limits(self, method: str, path: str) -> Limits:
        """Return what a request may take; an upload may take more."""
        settings = self._services.settings
        if method == "POST" and path in UPLOAD_PATHS:
            return Limits(UPLOAD_BYTES, settings.request_timeout_s * 2)
        return Limits(settings.max_body_mb * MEGABYTE, settings.request_timeout_s)

    def refusal(self, scope: Scope) -> ASGIApp | None:
        """Refuse writes until the indexes that guard uniqueness are there."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not self._services.prepared:
            return unavailable()
        return None

    def begin(self) -> None:
        """Count a request that begins."""
        self._services.health.begin()

    def end(self, method: str, template: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._services.health.end(method, template, status, seconds)

"""What is checked around every request: for whom it is meant, where it comes from, how much it may take."""

import logging
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Scope

from dteg.webapp.forms import is_foreign
from dteg.webapp.guard import MEGABYTE, SAFE_METHODS, Limits, Surroundings
from dteg.webapp.problems import problem
from studio.services import Services


class StudioSurroundings(Surroundings):
    """Around the requests of a studio.

    Args:
        services: For the settings.
        long: Patterns of the paths whose requests carry files or take their time.
    """

    name = "studio"
    access_log = logging.getLogger("studio.access")

    def __init__(self, services: Services, long: tuple[str, ...]) -> None:
        self._settings = services.settings
        self._ours = urlsplit(services.settings.url).netloc
        self._long = re.compile("|".join(f"(?:{each})" for each in long) or r"(?!)")
        self.https = services.settings.url.startswith("https://")

    def limits(self, method: str, path: str) -> Limits:
        """Return what a request may take."""
        settings = self._settings
        if method not in SAFE_METHODS and self._long.fullmatch(path):
            return Limits(settings.max_upload_mb * MEGABYTE, settings.long_request_timeout_s)
        seconds = (
            settings.long_request_timeout_s if self._long.fullmatch(path) else settings.request_timeout_s
        )
        return Limits(settings.max_body_mb * MEGABYTE, seconds)

    def refusal(self, scope: Scope) -> ASGIApp | None:
        """Refuse what another site made a browser of this machine send.

        A page elsewhere can have its own name answer with our address; then its requests reach us, but `Host` tells.
        """
        headers = Headers(scope=scope)
        if _name_in(headers.get("host", "")) not in self._settings.host_names:
            return problem(403, "denied", f"this is the studio {self._settings.url}; use that address")
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if unsafe and is_foreign(headers, self._ours):
            return problem(403, "denied", "this request was sent from another site")
        return None


def _name_in(host: str) -> str:
    """Return the name in a `Host` header, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""

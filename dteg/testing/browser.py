"""Web pages as people see them: headless Chromium, for tests and for pictures. Needs playwright, and Chromium itself."""

import contextlib
import shutil
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dteg.core.errors import EnvironmentProblemError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PHONE, TABLET, DESKTOP = 390, 820, 1440
WIDTHS = (PHONE, TABLET, DESKTOP)
"""Widths at which a page has to be usable (CSS pixels)."""

# The first is Chromium without windows: the same pages, but a new context takes 0.15 s of a core, not 0.95 s.
_PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    # Chromium's own sandbox does not start for root, nor in most containers; the pages are ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No other machine is found, whatever a page or the browser itself asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]",
]


@contextlib.contextmanager
def headless_chromium() -> Iterator["Browser"]:
    """Start the Chromium of this machine, and stop it at the end.

    Raises:
        EnvironmentProblemError: It, or playwright, is not installed.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise EnvironmentProblemError("there is no Chromium: apt-get install chromium-headless-shell")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise EnvironmentProblemError("there is no playwright: uv pip install playwright") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def requests_elsewhere(context: "BrowserContext") -> list[str]:
    """Watch the pages of a context, and return the URLs that they ask other machines for.

    Call it before the first page is made; the list grows while pages load, and a test asserts in the end that it is empty.
    """
    urls: list[str] = []

    def note(url: str) -> None:
        if not stays_here(url):
            urls.append(url)

    def watch(page: "Page") -> None:
        page.on("websocket", lambda socket: note(socket.url))

    context.on("request", lambda request: note(request.url))
    context.on("page", watch)
    return urls


def stays_here(url: str) -> bool:
    """Return whether a request for a URL does not leave this machine."""
    parts = urlsplit(url)
    if parts.scheme in ("data", "blob", "about"):
        return True
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" and parts.scheme in ("http", "https", "ws", "wss")

"""URLs: checked in the config, joined, kept on one origin, and shown without their query."""

from typing import Annotated

import httpx
from pydantic import AfterValidator

from dteg.core.errors import PermanentError

_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_http_url(value: str) -> str:
    """Return `value` if it is a http(s) URL without user, password and fragment.

    Raises:
        ValueError: It is not; the message does not repeat it, because it may hold a secret.
    """
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL as error:
        raise ValueError(f"not a URL: {error}") from None
    if url.scheme not in _DEFAULT_PORTS or not url.host:
        raise ValueError("write a URL that starts with http:// or https:// and names a host")
    if url.userinfo:
        raise ValueError("the URL holds a user or password; write them under auth")
    if url.fragment:
        raise ValueError("the URL has a fragment (#...), which is never sent")
    return value


HttpUrl = Annotated[str, AfterValidator(check_http_url)]


def join_url(base: str, path: str) -> str:
    """Return `base` with `path` below it, also when `path` starts with a slash."""
    return f"{base.rstrip('/')}/{path.lstrip('/')}" if path.strip("/") else base


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port, the default port included."""
    return url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme)


def resolve_link(current: str, link: str, what: str) -> str:
    """Return where a link that a server sent leads to.

    Args:
        current: URL of the answer that held the link.
        link: Absolute or relative URL.
        what: What it is, for messages: `next link`.

    Raises:
        PermanentError: It leads to another scheme, host or port, where credentials must not go, or is no URL.
    """
    here = httpx.URL(current)
    try:
        there = here.join(link)
    except httpx.InvalidURL:
        raise PermanentError(f"{what} of {without_query(current)} is not a URL") from None
    if origin(here) != origin(there) or there.userinfo:
        raise PermanentError(
            f"{what} of {without_query(current)} leads to another origin, {_origin_text(there)}; "
            f"credentials are not sent there: if this is the right place, write it as the URL of the config"
        )
    return str(there)


def without_query(url: str | httpx.URL) -> str:
    """Return the URL as it may stand in messages: without query, user and password."""
    parsed = httpx.URL(url)
    return f"{_origin_text(parsed)}{parsed.path}"


def _origin_text(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"

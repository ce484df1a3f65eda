"""What every form of the pages is checked for."""

from urllib.parse import urlsplit

from fastapi import Request

from dteg.core.errors import DeniedError
from registry.services import services_of
from registry.tokens.service import CSRF_FIELD, CSRF_HEADER


async def from_our_pages(request: Request) -> None:
    """Refuse a form that another site made somebody send; a dependency of each route that takes a form.

    With a session the form carries its CSRF token, in the field `csrf` or the header. Without one (login, join) only the
    origin tells.

    Raises:
        DeniedError: The form does not come from our pages.
    """
    tokens = services_of(request).tokens
    origin = request.headers.get("origin")
    ours = {urlsplit(tokens.settings.public_url).netloc, request.headers.get("host", "")}
    foreign = origin is not None and urlsplit(origin).netloc not in ours
    if foreign or request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise DeniedError("this form was sent from another site")
    cookie = request.cookies.get(tokens.cookie, "")
    if cookie:
        given = request.headers.get(CSRF_HEADER) or (await request.form()).get(CSRF_FIELD, "")
        tokens.check_csrf(cookie, given if isinstance(given, str) else "")

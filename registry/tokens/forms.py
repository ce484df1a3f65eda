"""What every form of the pages is checked for."""

from urllib.parse import urlsplit

from fastapi import Request

from dteg.core.errors import DeniedError
from dteg.webapp.forms import csrf_of, is_foreign
from registry.services import services_of


async def from_our_pages(request: Request) -> None:
    """Refuse a form that another site made somebody send; a dependency of each route that takes a form.

    With a session the form carries its CSRF token, in the field `csrf` or the header. Without one (login, join) only the
    origin tells.

    Raises:
        DeniedError: The form does not come from our pages.
    """
    tokens = services_of(request).tokens
    if is_foreign(request.headers, urlsplit(tokens.settings.public_url).netloc):
        raise DeniedError("this form was sent from another site")
    cookie = request.cookies.get(tokens.cookie, "")
    if cookie:
        tokens.check_csrf(cookie, await csrf_of(request))

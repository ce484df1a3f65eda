"""What browsers send: every form is checked to come from our pages."""

from typing import Annotated

from fastapi import Depends, Request

from dteg.webapp.forms import chosen, read, refusal, state, texts_of
from registry.tokens.forms import from_our_pages

__all__ = ["Posted", "chosen", "posted", "read", "refusal", "state"]


async def posted(request: Request) -> dict[str, str]:
    """Return the texts of a form that was sent from one of our pages, by name; a dependency of every such route.

    Raises:
        DeniedError: It comes from elsewhere.
    """
    await from_our_pages(request)
    return await texts_of(request)


Posted = Annotated[dict[str, str], Depends(posted)]

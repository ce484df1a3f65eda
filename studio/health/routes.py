"""Whether the studio can work."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from dteg.core.control import session
from dteg.core.errors import DtegError, UnavailableError
from studio.access import public
from studio.services import services_of

router = APIRouter(tags=["health"], dependencies=[public()])


class Health(BaseModel):
    """That it works."""

    status: str = "ok"


@router.get("/healthz", include_in_schema=False)
def healthz() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", include_in_schema=False)
def readyz(request: Request) -> Health:
    """The warehouse answers too."""
    try:
        with session(services_of(request).project) as connection:
            connection.execute("SELECT 1")
    except DtegError:
        # Everybody may ask this: nothing is said about the server.
        raise UnavailableError("the warehouse does not answer; see: dteg doctor") from None
    return Health()

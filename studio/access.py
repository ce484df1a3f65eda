"""Who asks, and what that one may do. Every route says one of these; a route that says none is refused at start.

`dependencies=[allow(Scope.READ)]`, or as a parameter `who: Annotated[Principal, allow(Scope.WRITE)]`. `public()` lets
everybody in.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from dteg.core.errors import DeniedError
from dteg.tokens.models import Scope
from dteg.tokens.visible import Visible
from dteg.webapp.access import Declared, routes_of
from dteg.webapp.forms import csrf_of
from dteg.webapp.guard import SAFE_METHODS

if TYPE_CHECKING:
    from studio.services import Services

__all__ = ["NOBODY", "Access", "Anybody", "Principal", "Scope", "allow", "public", "routes_of"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who stands behind a request.

    Attributes:
        name: Name of the token; `owner` for who has the project's own; "" for nobody.
        scopes: What the credential allows.
        topics: The only topics it is good for; none: all.
        roles: Whose datasets, charts and dashboards it sees, beside those for everybody.
        credential: `local`, `token:<id>` or "", for the log.
        cookie: The login of a browser, "" for a program.
    """

    name: str = ""
    scopes: frozenset[Scope] = frozenset()
    topics: frozenset[str] = frozenset()
    credential: str = ""
    cookie: str = ""
    roles: frozenset[str] = frozenset()

    @property
    def sees(self) -> Visible:
        """Which datasets, charts and dashboards it may see."""
        return Visible(self.roles, everything=self.may(Scope.ADMIN))

    @property
    def known(self) -> bool:
        """Whether somebody is logged in."""
        return bool(self.name)

    def may(self, scope: Scope) -> bool:
        """Return whether the credential allows `scope`."""
        return scope in self.scopes

    def may_use_topic(self, topic: str) -> bool:
        """Return whether the credential is good for a topic."""
        return not self.topics or topic in self.topics

    def require_topic(self, topic: str) -> None:
        """Refuse a topic that the credential is not good for.

        Raises:
            DeniedError: It is not.
        """
        if not self.may_use_topic(topic):
            raise DeniedError(f"this credential is not good for the topic {topic!r}")


NOBODY = Principal()


async def principal_of(connection: HTTPConnection) -> Principal:
    """Return who asks; NOBODY without credentials.

    Raises:
        DeniedError: The credentials are wrong, expired or revoked.
    """
    cached: Principal | None = getattr(connection.state, "principal", None)
    if cached is None:
        services: Services = connection.app.state.services
        cached = await services.credentials.principal_of(connection)
        connection.state.principal = cached
    return cached


class Access(Declared[Scope]):
    """A dependency that a route declares.

    A browser sends its cookie with whatever another page makes it send; so what changes something and comes with a
    cookie must also carry the CSRF token of that login, in the field `csrf` of a form or the header `X-CSRF-Token`.
    """

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Return the principal, or refuse."""
        who = await principal_of(connection)
        if self.scope is not None and not who.may(self.scope):
            if not who.known:
                raise DeniedError("log in first", authenticate=True)
            raise DeniedError(f"this credential lacks the scope {self.scope.value!r}")
        if who.cookie and isinstance(connection, Request) and connection.method not in SAFE_METHODS:
            services: Services = connection.app.state.services
            services.credentials.check_csrf(who.cookie, await csrf_of(connection))
        return who


def allow(scope: Scope) -> Any:
    """Return the dependency of a route that wants `scope`."""
    return Depends(Access(scope))


def public() -> Any:
    """Return the dependency of a route that is for everybody."""
    return Depends(Access(None))


Anybody = Annotated[Principal, Depends(Access(None))]

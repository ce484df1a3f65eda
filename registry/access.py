"""Who asks, and what that one may do. Every route says one of these; a route that says none is refused at start.

`public` lets everybody in. `allow(Scope.X)` wants a login or token with that scope. Rights on an object (a role in a
namespace) are checked by the service that owns the object, with `Namespaces.require`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Request

from dteg.core.errors import DeniedError
from dteg.webapp.access import Declared, RouteAccess, routes_of

__all__ = [
    "NOBODY", "Access", "Anybody", "Principal", "Role", "RouteAccess", "Scope", "allow", "principal_of", "public",
    "routes_of",
]  # fmt: skip


class Scope(StrEnum):
    """What a token may be used for."""

    READ = "read"
    INSTALL = "install"
    REVIEW = "review"
    PUBLISH = "publish"
    NAMESPACE = "namespace"
    ACCOUNT = "account"
    ADMIN = "admin"


class Role(StrEnum):
    """What a member is in a namespace; each includes the ones after it."""

    OWNER = "owner"
    MAINTAINER = "maintainer"
    READER = "reader"

    def includes(self, other: "Role") -> bool:
        """Return whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) <= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """The account behind a request.

    Attributes:
        user_id: Key of the account; "" for nobody.
        login: Its name.
        is_admin: Whether the account administers the registry.
        scopes: What the credential allows.
        namespace: The only namespace the credential is good for; "" for all of the account's.
        component: The only component it is good for, as `namespace/slug`; "" for all.
        credential: `session`, `jwt:<id>` or `token:<id>`, for the audit log.
    """

    user_id: str = ""
    login: str = ""
    is_admin: bool = False
    scopes: frozenset[Scope] = frozenset()
    namespace: str = ""
    component: str = ""
    credential: str = ""

    @property
    def known(self) -> bool:
        """Whether somebody is logged in."""
        return bool(self.user_id)

    def may(self, scope: Scope) -> bool:
        """Return whether the credential allows `scope`."""
        return scope in self.scopes and (scope is not Scope.ADMIN or self.is_admin)

    def covers(self, namespace: str, component: str = "") -> bool:
        """Return whether the credential is good for a namespace, or a component in it; "" means all of them."""
        if self.namespace and namespace != self.namespace:
            return False
        return not self.component or component == self.component


NOBODY = Principal()


async def principal_of(request: Request) -> Principal:
    """Return who asks; NOBODY without credentials.

    Raises:
        DeniedError: The credentials are wrong, expired or revoked.
        LimitedError: Too many requests.
    """
    cached: Principal | None = getattr(request.state, "principal", None)
    if cached is None:
        services = request.app.state.services
        try:
            cached = await services.tokens.principal_of(request)
        except DeniedError:
            await services.rate_limits.failed(request)
            raise
        request.state.principal = cached
        await services.rate_limits.admit(request, cached)
    return cached


class Access(Declared[Scope]):
    """A dependency that a route declares."""

    async def __call__(self, request: Request) -> Principal:
        """Return the principal, or refuse."""
        who = await principal_of(request)
        if self.scope is None or who.may(self.scope):
            return who
        if not who.known:
            raise DeniedError("log in first: dteg login", authenticate=True)
        raise DeniedError(f"this credential lacks the scope {self.scope.value!r}")


public = Access(None)
Anybody = Annotated[Principal, Depends(public)]


def allow(scope: Scope) -> Any:
    """Return the dependency of a route that wants `scope`, as the default of a parameter of type Principal."""
    return Depends(Access(scope))

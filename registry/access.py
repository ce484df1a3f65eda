"""Who asks, and what that one may do. Every route says one of these; a route that says none is refused at start.

`public` lets everybody in. `allow(Scope.X)` wants a login or token with that scope. Rights on an object (a role in a
namespace) are checked by the service that owns the object, with `Namespaces.require`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, routing

from dteg.core.errors import DeniedError


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


class Access:
    """A dependency that a route declares; tests read `scope` to build the matrix of who may do what."""

    def __init__(self, scope: Scope | None) -> None:
        self.scope = scope

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


@dataclass(frozen=True, slots=True)
class RouteAccess:
    """What one route declares.

    Attributes:
        path: Its path with the names of parameters.
        methods: Its HTTP methods.
        access: What it declares; None if nothing.
    """

    path: str
    methods: frozenset[str]
    access: Access | None


def routes_of(app: FastAPI) -> Iterator[RouteAccess]:
    """Yield all routes of an app, those of included routers with their whole paths."""
    # FastAPI 0.137 and newer keep an included router as one entry, and its routes are not in `app.routes`.
    contexts: Callable[[Any], Iterator[Any]] = getattr(routing, "iter_route_contexts", iter)
    for route in contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        yield RouteAccess(
            str(route.path), frozenset(getattr(route, "methods", None) or ()), _access_in(dependant)
        )


def _access_in(dependant: Any) -> Access | None:
    """Return the strictest access found anywhere among the dependencies."""
    todo, found = [dependant] if dependant is not None else [], None
    while todo:
        dependant = todo.pop()
        if isinstance(dependant.call, Access) and (found is None or found.scope is None):
            found = dependant.call
        todo.extend(dependant.dependencies)
    return found

"""Every route says who may use it, and an app with one that does not is refused at start."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from fastapi import FastAPI, routing

from dteg.core.errors import DtegError

ScopeT_co = TypeVar("ScopeT_co", bound=StrEnum, covariant=True)


class Declared(Generic[ScopeT_co]):
    """The base of an app's dependency that checks who asks; tests read `scope` to build the matrix of who may what.

    Args:
        scope: What is needed; None lets everybody in.
    """

    def __init__(self, scope: ScopeT_co | None) -> None:
        self.scope = scope


@dataclass(frozen=True, slots=True)
class RouteAccess:
    """What one route declares.

    Attributes:
        path: Its path with the names of parameters.
        methods: Its HTTP methods; none for a WebSocket.
        access: What it declares; None if nothing.
    """

    path: str
    methods: frozenset[str]
    access: Declared[Any] | None


def routes_of(app: FastAPI) -> Iterator[RouteAccess]:
    """Yield all routes of an app, those of included routers with their whole paths."""
    # FastAPI 0.137 and newer keep an included router as one entry, and its routes are not in `app.routes`.
    contexts: Callable[[Any], Iterator[Any]] = getattr(routing, "iter_route_contexts", iter)
    for route in contexts(app.routes):
        yield RouteAccess(str(route.path), frozenset(getattr(route, "methods", None) or ()), access_of(route))


def refuse_undeclared(app: FastAPI, *, but: Iterable[str]) -> None:
    """A route without a declared access would be open by accident.

    Args:
        app: With all its routes.
        but: Paths that need none, such as the one of static files.

    Raises:
        DtegError: There is such a route.
    """
    allowed = set(but)
    bare = [route.path for route in routes_of(app) if route.access is None and route.path not in allowed]
    if bare:
        raise DtegError(f"routes that declare no access: {', '.join(sorted(bare))}")


def access_of(route: Any) -> Declared[Any] | None:
    """Return the strictest access that a route declares anywhere among its dependencies; None if it declares none."""
    dependant = getattr(route, "dependant", None)
    todo, found = [dependant] if dependant is not None else [], None
    while todo:
        dependant = todo.pop()
        if isinstance(dependant.call, Declared) and (found is None or found.scope is None):
            found = dependant.call
        todo.extend(dependant.dependencies)
    return found

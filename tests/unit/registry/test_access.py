from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI

from dteg.core.errors import DtegError
from dteg.webapp.access import refuse_undeclared
from registry.access import Access, Principal, Role, Scope, allow, public, routes_of


def test_routes_of_included_routers_are_seen_with_their_whole_path():
    inner, outer = APIRouter(prefix="/things"), APIRouter()

    @inner.get("/{name}")
    def read(name: str, who: Annotated[Principal, Depends(public)]) -> None: ...

    @inner.delete("/{name}")
    def delete(name: str, who: Annotated[Principal, allow(Scope.NAMESPACE)]) -> None: ...

    outer.include_router(inner)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(outer, prefix="/api/v1")
    found = {(min(route.methods), route.path): route.access.scope for route in routes_of(app)}
    assert found == {
        ("GET", "/api/v1/things/{name}"): None,
        ("DELETE", "/api/v1/things/{name}"): Scope.NAMESPACE,
    }
    refuse_undeclared(app, but=())


def test_a_route_that_declares_nothing_stops_the_start():
    router = APIRouter()

    @router.get("/secret")
    def read() -> None: ...

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router, prefix="/api/v1")
    with pytest.raises(DtegError, match="/api/v1/secret"):
        refuse_undeclared(app, but=())


def test_the_strictest_of_several_declarations_counts():
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/x", dependencies=[Depends(public)])
    def read(who: Annotated[Principal, allow(Scope.ADMIN)]) -> None: ...

    (route,) = routes_of(app)
    assert isinstance(route.access, Access)
    assert route.access.scope is Scope.ADMIN


def test_roles_include_the_lesser_ones():
    assert Role.OWNER.includes(Role.READER)
    assert Role.MAINTAINER.includes(Role.MAINTAINER)
    assert not Role.READER.includes(Role.MAINTAINER)


def test_the_admin_scope_needs_an_admin():
    assert not Principal("1", "a", False, frozenset(Scope)).may(Scope.ADMIN)
    assert Principal("1", "a", True, frozenset(Scope)).may(Scope.ADMIN)
    assert not Principal("1", "a", True, frozenset({Scope.READ})).may(Scope.ADMIN)


@pytest.mark.parametrize(
    ("limits", "asked", "good"),
    [
        (("", ""), ("acme", ""), True),
        (("acme", ""), ("acme", "acme/a-loader"), True),
        (("acme", ""), ("other", ""), False),
        (("acme", ""), ("", ""), False),
        (("acme", "acme/a-loader"), ("acme", "acme/a-loader"), True),
        (("acme", "acme/a-loader"), ("acme", "acme/b-loader"), False),
        (("acme", "acme/a-loader"), ("acme", ""), False),
    ],
)
def test_what_a_limited_credential_covers(limits, asked, good):
    assert Principal("1", "a", namespace=limits[0], component=limits[1]).covers(*asked) is good

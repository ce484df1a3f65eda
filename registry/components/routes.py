"""Components over HTTP; searching them is `registry/search`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from registry.access import Anybody, Principal, Scope, allow
from registry.components.models import ComponentAnswer, NewDeprecation
from registry.identifiers import NAMESPACE_PATTERN, SLUG_PATTERN, component_id
from registry.services import services_of

router = APIRouter(prefix="/components/{ns}/{slug}", tags=["components"])
_PUBLISH = allow(Scope.PUBLISH)
Name = Annotated[str, Path(pattern=NAMESPACE_PATTERN, max_length=39)]
Slug = Annotated[str, Path(pattern=SLUG_PATTERN, max_length=100)]


def _component(ns: Name, slug: Slug) -> str:
    return component_id(ns, slug)


ComponentId = Annotated[str, Depends(_component)]


@router.get("")
async def read_component(request: Request, component: ComponentId, _: Anybody) -> ComponentAnswer:
    """Return a component."""
    return ComponentAnswer.of(await services_of(request).components.get(component))


@router.post("/deprecation")
async def deprecate(
    request: Request, component: ComponentId, body: NewDeprecation, who: Principal = _PUBLISH
) -> ComponentAnswer:
    """Say that nobody should begin to use it."""
    found = await services_of(request).components.deprecate(who, component, body)
    return ComponentAnswer.of(found)


@router.delete("/deprecation")
async def undeprecate(request: Request, component: ComponentId, who: Principal = _PUBLISH) -> ComponentAnswer:
    """Take the deprecation back."""
    found = await services_of(request).components.deprecate(who, component, None)
    return ComponentAnswer.of(found)

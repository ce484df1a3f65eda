"""The description of the API."""

from typing import Any

from fastapi import APIRouter, Request

from studio.access import Scope, allow

router = APIRouter(include_in_schema=False, dependencies=[allow(Scope.READ)])


@router.get("/openapi.json")
def openapi(request: Request) -> dict[str, Any]:
    """Return the OpenAPI document."""
    document: dict[str, Any] = request.app.openapi()
    return document

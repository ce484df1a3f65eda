"""Searching over HTTP."""

from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError

from registry.access import Anybody
from registry.search.models import ListQuery, SearchAnswer, SearchQuery
from registry.services import services_of

router = APIRouter(tags=["search"])
_JSON = "application/json"
_LISTS = frozenset(name for name, field in ListQuery.model_fields.items() if field.default == [])
Wanted = TypeVar("Wanted", bound=ListQuery)
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"model": SearchAnswer, "description": "One page of the result."},
    304: {"description": "Unchanged."},
}


def _asked(kind: type[ListQuery]) -> dict[str, Any]:
    """Return the parameters for the description of the API.

    They are read by the model itself: FastAPI's way through a model of a query takes as long as the search.
    """
    schema = kind.model_json_schema()
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": _inlined(each, schema)}
            for name, each in schema["properties"].items()
        ]
    }


def _inlined(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a property with what it refers to."""
    name = str(part.get("$ref", "")).rpartition("/")[2]
    return {**schema["$defs"][name], **{key: part[key] for key in part if key != "$ref"}} if name else part


def _read(request: Request, kind: type[Wanted]) -> Wanted:
    """Return what is asked for.

    Raises:
        RequestValidationError: It cannot be asked.
    """
    given: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in _LISTS:
            given.setdefault(name, []).append(value)
        else:
            given[name] = value
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
        ) from None


@router.get("/search", response_class=Response, responses=_ANSWER, openapi_extra=_asked(SearchQuery))
async def search(request: Request, _: Anybody) -> Response:
    """Find components by words and filters; one that is named exactly comes first."""
    return _response(request, _read(request, SearchQuery))


@router.get("/components", response_class=Response, responses=_ANSWER, openapi_extra=_asked(ListQuery))
async def list_components(request: Request, _: Anybody) -> Response:
    """List components by filters, the best first unless another order is asked for."""
    return _response(request, _read(request, ListQuery))


def _response(request: Request, wanted: ListQuery) -> Response:
    found = services_of(request).search.answer(wanted)
    headers = {"ETag": found.etag, "Cache-Control": "public, max-age=5"}
    if found.stale_s:
        headers["Search-Age"] = str(found.stale_s)
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=_JSON, headers=headers)

"""The description of an API, with the answers that every route may give."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_PROBLEM = {
    "type": "object",
    "description": "What is wrong and what to do (RFC 9457); programs compare `code`.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "problems": {"type": "array", "items": {"type": "string"}},
    },
}
_ANSWER = {
    "description": "Refused, or not possible now.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def describe(
    app: FastAPI, schemes: Mapping[str, Any], security: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the OpenAPI document, made once.

    Args:
        app: With all its routes.
        schemes: The ways to say who asks, by name.
        security: Which of them a request may use.
    """
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes, separate_input_output_schemas=True
        )  # fmt: skip
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = _PROBLEM
        document["components"]["securitySchemes"] = dict(schemes)
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"].setdefault("4XX", _ANSWER)
                operation["responses"].setdefault("5XX", _ANSWER)
        document["security"] = list(security)
        app.openapi_schema = document
    return app.openapi_schema

"""The description of the API."""

from typing import Any

from fastapi import FastAPI

from dteg.webapp import openapi
from registry.access import Scope


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    return openapi.describe(app, _schemes(), [{}, {"login": []}, {"token": []}, {"basic": []}])


def _schemes() -> dict[str, Any]:
    scopes = {scope.value: f"May {scope.value}." for scope in Scope}
    flow = {"tokenUrl": "/api/v1/oauth/token", "scopes": scopes}
    return {
        "login": {"type": "oauth2", "flows": {"password": flow, "clientCredentials": flow}},
        "token": {"type": "http", "scheme": "bearer"},
        "basic": {"type": "http", "scheme": "basic", "description": "Any name, and a token as password."},
    }

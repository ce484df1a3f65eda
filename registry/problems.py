"""Errors as HTTP answers: problem+json (RFC 9457), and the way back for clients is the `code`."""

import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException

from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    DtegError,
    InputError,
    NotFoundError,
    QualityGateError,
    RegistryError,
    UnavailableError,
)
from registry.database import CONNECTION_ERRORS


class LimitedError(RegistryError):
    """Too often: try again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        """Remember how long to wait."""
        self.retry_after_s = retry_after_s
        super().__init__(message)


MEDIA_TYPE = "application/problem+json"
_STATUS: dict[type[DtegError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    ConfigError: 422,
    InputError: 422,
    QualityGateError: 422,
    UnavailableError: 503,
}


def problem(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Return a problem document.

    Args:
        status: HTTP status.
        code: Short name that programs compare, such as `not_found`.
        detail: What people read: what is wrong and what to do.
        headers: More headers.
        more: Further members, such as `problems`.
    """
    body = {
        "type": "about:blank",
        "title": code.replace("_", " "),
        "status": status,
        "code": code,
        "detail": detail,
    }
    return JSONResponse({**body, **more}, status, headers, MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Teach an app to answer with problems instead of tracebacks."""
    app.add_exception_handler(DtegError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(PyMongoError, _database)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    match error:
        case DeniedError():
            headers = {"WWW-Authenticate": 'Bearer, Basic realm="dteg"'} if error.authenticate else None
            return problem(401 if error.authenticate else 403, "denied", str(error), headers)
        case UnavailableError():
            return problem(503, "unavailable", str(error), _retry_after(error.retry_after_s))
        case LimitedError():
            return problem(429, "limited", str(error), _retry_after(error.retry_after_s))
        case ConfigError():
            lines = [str(each) for each in error.problems]
            return problem(422, "invalid", str(error), problems=lines)
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
    names = {404: "not_found", 409: "conflict", 422: "invalid"}
    return problem(status, names.get(status, "refused"), str(error))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    lines = [
        printable(f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}") for each in error.errors()
    ]
    return problem(422, "invalid", "; ".join(lines), problems=lines)


def printable(text: str) -> str:
    """Return the text without what cannot be encoded: a key of a client may hold half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    names = {404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large"}
    return problem(error.status_code, names.get(error.status_code, "refused"), str(error.detail), headers)


async def _database(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, CONNECTION_ERRORS):
        return unavailable()
    raise error


def unavailable() -> JSONResponse:
    """Return the answer while the database is down."""
    return problem(503, "unavailable", "the registry's database does not answer; try again", _retry_after(5))


def _retry_after(seconds: float) -> dict[str, str]:
    """Never 0: that would ask clients to try again at once, all together."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}

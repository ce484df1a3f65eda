"""Errors as HTTP answers: problem+json (RFC 9457), and the way back for clients is the `code`."""

import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from dteg.core.errors import (
    ConfigError,
    DeniedError,
    DtegError,
    RegistryError,
    TransientError,
    UnavailableError,
)

MEDIA_TYPE = "application/problem+json"
Codes = Mapping[type[DtegError], tuple[int, str]]
"""Status and code by class of error; the nearest class above an error counts."""
_RETRY_AFTER_S = 5.0


class LimitedError(RegistryError):
    """Too often: try again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        """Remember how long to wait."""
        self.retry_after_s = retry_after_s
        super().__init__(message)


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


def add_handlers(app: FastAPI, codes: Codes) -> None:
    """Teach an app to answer with problems instead of tracebacks."""

    async def ours(_: HTTPConnection, error: Exception) -> JSONResponse:
        assert isinstance(error, DtegError)
        return answer_to(error, codes)

    app.add_exception_handler(DtegError, ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def answer_to(error: DtegError, codes: Codes) -> JSONResponse:
    """Return the answer that tells of an error."""
    status, code = next((codes[kind] for kind in type(error).__mro__ if kind in codes), (400, "refused"))
    match error:
        case DeniedError():
            headers = {"WWW-Authenticate": 'Bearer, Basic realm="dteg"'} if error.authenticate else None
            return problem(401 if error.authenticate else 403, "denied", str(error), headers)
        case UnavailableError():
            return problem(503, "unavailable", str(error), retry_after(error.retry_after_s))
        case LimitedError():
            return problem(429, "limited", str(error), retry_after(error.retry_after_s))
        case TransientError() if status == 503:
            return problem(status, code, str(error), retry_after(error.retry_after_s or _RETRY_AFTER_S))
        case ConfigError():
            lines = [str(each) for each in error.problems]
            return problem(422, "invalid", str(error), problems=lines)
    return problem(status, code, str(error))


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


def unavailable(detail: str) -> JSONResponse:
    """Return the answer while something that the app stands on is down."""
    return problem(503, "unavailable", detail, retry_after(_RETRY_AFTER_S))


def retry_after(seconds: float) -> dict[str, str]:
    """Return the header; never 0: that would ask clients to try again at once, all together."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}

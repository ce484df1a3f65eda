"""What the pages change about the app: static files, and errors that people can read."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection
from starlette.types import ExceptionHandler

from registry.access import NOBODY
from registry.pages.rendering import kit, show
from registry.problems import MEDIA_TYPE

_FOR_PROGRAMS = ("/api/", "/simple", "/files/", "/static/", "/healthz", "/readyz", "/metrics")
_TITLES = {
    401: "Log in first",
    403: "Not allowed",
    404: "There is nothing here",
    405: "That is not possible here",
    408: "That took too long",
    409: "It changed meanwhile",
    413: "That is too large",
    422: "That does not fit",
    429: "Slow down a little",
    500: "That is our fault",
    503: "Not available right now",
}
_KEPT_HEADERS = ("retry-after", "allow", "connection")


def install(app: FastAPI) -> None:
    """Mount the static files, and let browsers see errors as pages."""
    app.mount(kit().assets.prefix, kit().assets)
    app.state.as_page = as_page  # for what is refused before the app is reached
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _as_page(handler)  # type: ignore[assignment]


def as_page(connection: HTTPConnection, answer: Any) -> Any:
    """Return an answer as a page, if it is a problem and a person looks; else as it is."""
    request = Request(connection.scope)
    is_problem = isinstance(answer, JSONResponse) and answer.media_type == MEDIA_TYPE
    return _page(request, answer) if is_problem and wants_page(request) else answer


def wants_page(request: Request) -> bool:
    """Return whether a person looks: a browser asks, and for a page."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(_FOR_PROGRAMS)


def _as_page(handler: ExceptionHandler) -> ExceptionHandler:
    async def handle(request: Request, error: Exception) -> Response:
        answered: Callable[..., Awaitable[Response]] = handler  # type: ignore[assignment]
        return as_page(request, await answered(request, error))  # type: ignore[no-any-return]

    return handle


def _page(request: Request, answer: JSONResponse) -> Response:
    problem = json.loads(bytes(answer.body))
    status = answer.status_code
    if status == 401 and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?{urlencode({'next': here})}", 303, {"Cache-Control": "no-store"})
    who = getattr(request.state, "principal", None) or NOBODY
    number = getattr(request.state, "request_id", "")
    page = show(
        request, who, "error.html", status=status, code=status, heading=_TITLES.get(status, "That did not work"),
        detail=problem["detail"], problems=problem.get("problems", []), number=number,
    )  # fmt: skip
    for name in _KEPT_HEADERS:
        if name in answer.headers:
            page.headers[name] = answer.headers[name]
    return page

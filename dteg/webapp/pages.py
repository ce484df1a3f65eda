"""Pages as answers: how long a browser may keep one, where a form leads to, and errors that people can read."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection
from starlette.types import ExceptionHandler

from dteg.webapp.problems import MEDIA_TYPE
from dteg.webkit import Assets

MAX_URL = 2_000
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


class ErrorPage(Protocol):
    """Shows an error with an app's own template `error.html`."""

    def __call__(self, request: Request, *, status: int, **values: Any) -> Response:
        """Return the page; it is given `code`, `heading`, `detail`, `problems` and `number` (of the request)."""


def page_answer(request: Request, html: str, *, status: int = 200, personal: bool) -> Response:
    """Return a page. The same for everybody may be kept and asked for again by its ETag; a personal one may not."""
    body = html.encode("utf-8", "replace")
    headers = {"Vary": "Cookie"}
    if personal or status != 200 or request.method != "GET":
        headers["Cache-Control"] = "private, no-store"
        return HTMLResponse(body, status, headers)
    # Weak: a proxy may compress it.
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers |= {"ETag": etag, "Cache-Control": "public, no-cache"}
    if etag in request.headers.get("if-none-match", "").split(", "):
        # The type tells what stands around the app to send the policy of pages again.
        return Response(status_code=304, headers=headers, media_type="text/html")
    return HTMLResponse(body, status, headers)


def go(path: str, done: str = "", anchor: str = "") -> Response:
    """Return a redirect after a form was sent, to a page that says what was done."""
    if done:
        path += ("&" if "?" in path else "?") + urlencode({"done": done})
    return RedirectResponse(f"{path}#{anchor}" if anchor else path, 303, {"Cache-Control": "no-store"})


def inside(path: str, default: str = "/") -> str:
    """Return a path of this app; anything that leads elsewhere becomes the default."""
    parts = urlsplit(path) if len(path) <= MAX_URL else None
    good = parts is not None and not parts.scheme and not parts.netloc and path.startswith("/")
    odd = path.startswith("//") or "\\" in path or any(ord(each) < 33 for each in path)
    return path if good and not odd else default


def here_of(request: Request) -> str:
    """Return the page's own address, without what was done before it."""
    query = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "done"])
    here = f"{request.url.path}?{query}" if query else request.url.path
    return here if request.method == "GET" else "/"


def install(app: FastAPI, assets: Assets, show: ErrorPage, for_programs: tuple[str, ...]) -> None:
    """Mount the static files, and let browsers see errors as pages.

    Args:
        app: With its handlers of exceptions.
        assets: The static files.
        show: Makes the page of an error.
        for_programs: Beginnings of paths where even a browser gets problem+json.
    """
    as_page = _AsPage(show, for_programs)
    app.mount(assets.prefix, assets)
    app.state.as_page = as_page  # for what is refused before the app is reached
    for kind, handler in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _handled(handler, as_page)  # type: ignore[assignment]


class _AsPage:
    def __init__(self, show: ErrorPage, for_programs: tuple[str, ...]) -> None:
        self._show, self._for_programs = show, for_programs

    def __call__(self, connection: HTTPConnection, answer: Any) -> Any:
        """Return an answer as a page, if it is a problem and a person looks; else as it is."""
        if connection.scope["type"] != "http":
            return answer
        request = Request(connection.scope)
        is_problem = isinstance(answer, JSONResponse) and answer.media_type == MEDIA_TYPE
        return self._page(request, answer) if is_problem and self._wanted(request) else answer

    def _wanted(self, request: Request) -> bool:
        """Return whether a person looks: a browser asks, and for a page."""
        for_person = not request.url.path.startswith(self._for_programs)
        return "text/html" in request.headers.get("accept", "") and for_person

    def _page(self, request: Request, answer: JSONResponse) -> Response:
        problem: Mapping[str, Any] = json.loads(bytes(answer.body))
        status = answer.status_code
        if status == 401 and request.method == "GET":
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            headers = {"Cache-Control": "no-store"}
            return RedirectResponse(f"/login?{urlencode({'next': here})}", 303, headers)
        detail = problem["detail"]
        if detail == "Not Found" or any(each.startswith("path.") for each in problem.get("problems", [])):
            # An address that fits no name of a thing leads nowhere, for people.
            status, detail = 404, "no page has this address"
        page = self._show(
            request, status=status, code=status, heading=_TITLES.get(status, "That did not work"),
            detail=detail, problems=problem.get("problems", []) if status != 404 else [],
            number=getattr(request.state, "request_id", ""),
        )  # fmt: skip
        for name in _KEPT_HEADERS:
            if name in answer.headers:
                page.headers[name] = answer.headers[name]
        return page


def _handled(handler: ExceptionHandler, as_page: _AsPage) -> ExceptionHandler:
    async def handle(request: HTTPConnection, error: Exception) -> Response:
        answered: Callable[..., Awaitable[Response]] = handler  # type: ignore[assignment]
        return as_page(request, await answered(request, error))  # type: ignore[no-any-return]

    return handle

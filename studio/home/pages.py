"""The home page, which says at a glance how things are, and the list of the API."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.control import session
from dteg.core.errors import DtegError
from studio.access import Scope, allow
from studio.rendering import Line, Summary, page_modules, show
from studio.services import Services, services_of

NAVIGATION = ("Home", "/")
router = APIRouter(dependencies=[allow(Scope.READ)])
_LOG = logging.getLogger(__name__)
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the list of the API."""

    method: str
    path: str
    summary: str


@router.get("/")
def home(request: Request) -> Response:
    """How things are."""
    services = services_of(request)
    warehouse, trouble = _warehouse(services)
    return show(
        request, "home.html", project=services.project.root.name, warehouse=warehouse, trouble=trouble,
        cards=[] if trouble else summaries(services),
    )  # fmt: skip


@router.get("/api")
def api(request: Request) -> Response:
    """What programs may ask for."""
    groups: dict[str, list[Operation]] = {}
    for path, operations in request.app.openapi()["paths"].items():
        for method, operation in operations.items():
            # The sentence of the function says more than its name.
            text = operation.get("description", "").partition("\n")[0] or operation.get("summary", "")
            group = (operation.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append(Operation(method.upper(), path, text))
    return show(request, "api.html", groups=sorted(groups.items()))


def summaries(services: Services) -> list[Summary]:
    """Return what each concept says of itself; one that cannot does not hide the others."""
    found = [getattr(module, "summary", None) for module in page_modules()]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="summary") as pool:
        names = [module.__name__.split(".")[1] for module in page_modules()]
        asked = [
            pool.submit(partial(_ask, ask, name, services))
            for ask, name in zip(found, names, strict=True)
            if ask
        ]
        return [each.result() for each in asked]


def _ask(ask: object, name: str, services: Services) -> Summary:
    title = name.replace("_", " ").capitalize()
    href = f"/{name.replace('_', '-')}"
    try:
        return ask(services)  # type: ignore[operator, no-any-return]
    except DtegError as error:
        return Summary(title, href, lines=(Line(str(error), tone="bad"),), tone="bad")
    except Exception:  # noqa: BLE001 - the other cards are shown all the same
        _LOG.exception("the summary of %s failed", name)
        return Summary(title, href, lines=(Line("This cannot be shown; the log says why."),), tone="bad")


def _warehouse(services: Services) -> tuple[tuple[str, ...], str]:
    """Return database, server and size, or what is wrong."""
    try:
        with session(services.project) as connection:
            row = connection.execute(
                "SELECT current_database(), current_setting('server_version'),"
                " pg_size_pretty(pg_database_size(current_database()))"
            ).fetchone()
            info = connection.info
            place = "on this machine" if info.host.startswith("/") else f"at {info.host}:{info.port}"
    except DtegError as error:
        return (), str(error)
    return (row[0], f"PostgreSQL {row[1].split()[0]} {place}", row[2]) if row else (), ""

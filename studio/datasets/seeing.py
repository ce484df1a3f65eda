"""Datasets that are not for who asks are not found: in each route that names one, whichever it is.

A router says `dependencies=ONLY_SEEN` once, so that a route that is added later is closed from its first day.
"""

from typing import Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from dteg.core.errors import ConfigError, NotFoundError
from dteg.core.identifiers import TableName
from dteg.datasets.models import VIEW_SCHEMA
from dteg.datasets.visible import hidden, roles_of_datasets
from dteg.tokens.visible import Visible
from dteg.webapp.access import access_of
from studio.access import Principal, principal_of
from studio.services import Services, services_of


async def _only_seen(request: Request) -> None:
    """Refuse the dataset in the path (`slug` or `dataset`), if who asks may not see it."""
    parameters = request.path_params
    await _require(request, parameters.get("slug") or parameters.get("dataset") or "")


async def _only_known(request: Request) -> None:
    """Refuse that, and for all but admins what is left of a dataset that was removed: nobody knows whose it was."""
    await _only_seen(request)
    who = await principal_of(request)
    slug = request.path_params.get("slug") or request.path_params.get("dataset") or ""
    if slug and _gets_in(request, who) and not who.sees.everything:
        project = services_of(request).project
        if slug not in await run_in_threadpool(roles_of_datasets, project):
            raise _unknown(slug)


async def _only_seen_table(request: Request) -> None:
    """Refuse the view of such a dataset as a table, too."""
    try:
        table = TableName.parse(request.path_params.get("table", ""))
    except (ConfigError, ValueError):
        return  # which the route says better
    if table.schema == VIEW_SCHEMA:
        await _require(request, table.name)


async def _require(request: Request, slug: str) -> None:
    who = await principal_of(request)
    if slug and _gets_in(request, who) and not who.sees.everything:
        project = services_of(request).project
        if slug in await run_in_threadpool(hidden, project, who.sees):
            raise _unknown(slug)


def _gets_in(request: Request, who: Principal) -> bool:
    """Whether a route lets in who asks; if not, it says so itself, whether or not there is such a dataset."""
    access = access_of(request.scope["route"])
    return access is None or access.scope is None or who.may(access.scope)


def _unknown(slug: str) -> NotFoundError:
    return NotFoundError(f"there is no dataset {slug!r}; list them with: dteg dataset list")


ONLY_SEEN: list[Any] = [Depends(_only_seen)]
ONLY_KNOWN: list[Any] = [Depends(_only_known)]
ONLY_SEEN_TABLES: list[Any] = [Depends(_only_seen_table)]


def closed_tables(services: Services, sees: Visible) -> frozenset[str]:
    """Return the views of datasets, as `ds.name`, that are not for who looks."""
    return frozenset(f"{VIEW_SCHEMA}.{slug}" for slug in hidden(services.project, sees))

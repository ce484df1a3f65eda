"""Sources over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from dteg.sources.models import (
    MAX_ROWS,
    LinkReport,
    NewSource,
    Probe,
    RowPage,
    Source,
    SourceTable,
    TableDrift,
)
from studio.access import Scope, allow
from studio.answers import After, Limit, Page, page_of, with_etag
from studio.services import services_of

router = APIRouter(prefix="/sources", tags=["sources"])
# To look at a source and to link it may take a while.
LONG = (r"/api/v1/sources", r"/api/v1/sources/[^/]+/(refresh|drift)")
Slug = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,40}$", description="Name of the source.")]
TableName = Annotated[str, Path(max_length=300, description="`schema.table`, or `table` if that is enough.")]


@router.get("", dependencies=[allow(Scope.READ)])
def list_sources(request: Request, limit: Limit = 100, after: After = "") -> Page[Source]:
    """List the sources, the warehouse among them, without their passwords."""
    found = sorted(services_of(request).sources.sources(), key=lambda source: source.slug)
    return page_of(found, limit, after, key=lambda source: source.slug)


# Whoever adds a source lets this machine connect to an address of choice, with a password.
@router.post("", status_code=201, dependencies=[allow(Scope.ADMIN)])
def add_source(request: Request, new: NewSource, replace: bool = False) -> LinkReport:
    """Add a source, or change one with `replace`, and link its tables; says what of them cannot be read."""
    return services_of(request).sources.add(new, replace=replace)


@router.post("/test", dependencies=[allow(Scope.ADMIN)])
def test_new_source(request: Request, new: NewSource) -> Probe:
    """Ask a source that is not added yet whether it answers; nothing is kept."""
    return services_of(request).sources.test(new)


@router.get("/{slug}", response_model=Source, dependencies=[allow(Scope.READ)])
def read_source(request: Request, slug: Slug) -> Response:
    """Return one source."""
    return with_etag(request, services_of(request).sources.get(slug))


@router.delete("/{slug}", status_code=204, dependencies=[allow(Scope.ADMIN)])
def remove_source(request: Request, slug: Slug) -> None:
    """Forget a source that no dataset uses; the source itself is left alone."""
    services_of(request).sources.remove(slug)


@router.post("/{slug}/test", dependencies=[allow(Scope.WRITE)])
def test_source(request: Request, slug: Slug) -> Probe:
    """Ask a source whether it answers."""
    return services_of(request).sources.test(slug)


@router.post("/{slug}/refresh", dependencies=[allow(Scope.WRITE)])
def refresh_source(request: Request, slug: Slug) -> LinkReport:
    """Look at a source again, link what has changed, and say what that was."""
    return services_of(request).sources.refresh(slug)


@router.get("/{slug}/drift", dependencies=[allow(Scope.WRITE)])
def read_drift(request: Request, slug: Slug) -> Page[TableDrift]:
    """Say what has changed in a source since it was last looked at; nothing is changed."""
    return Page(items=services_of(request).sources.drift(slug))


@router.get("/{slug}/tables", dependencies=[allow(Scope.READ)])
def list_tables(request: Request, slug: Slug, limit: Limit = 100, after: After = "") -> Page[SourceTable]:
    """List the tables of a source, also those that cannot be read, with the reason."""
    found = sorted(services_of(request).sources.tables(slug), key=lambda table: table.full_name)
    return page_of(found, limit, after, key=lambda table: table.full_name)


@router.get("/{slug}/tables/{table:path}", response_model=SourceTable, dependencies=[allow(Scope.READ)])
def read_table(request: Request, slug: Slug, table: TableName) -> Response:
    """Return one table with its columns and keys."""
    return with_etag(request, services_of(request).sources.table(slug, table))


@router.get("/{slug}/rows/{table:path}", dependencies=[allow(Scope.READ)])
def read_rows(
    request: Request,
    slug: Slug,
    table: TableName,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="Rows at the most.")] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000, description="Rows to pass over.")] = 0,
) -> RowPage:
    """Return rows of a table, read where they are; nothing is copied."""
    return services_of(request).sources.rows(slug, table, limit, offset)

"""Tables over HTTP: list, look, read, export, delete; files are sent first and loaded by a job."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from dteg.core.identifiers import TableName
from dteg.tables.loading import preview as preview_of
from dteg.tables.models import (
    CreateRequest,
    DeletedTable,
    ExportChoice,
    ExportRequest,
    Job,
    Preview,
    ReadChoice,
    ReadRequest,
    Rows,
    TableDetail,
    TableList,
    Upload,
    Use,
)
from dteg.tables.requests import checked
from dteg.tables.uploads import Uploads
from studio.access import Principal, Scope, allow
from studio.answers import After, Limit, with_etag
from studio.datasets.seeing import ONLY_SEEN_TABLES, closed_tables
from studio.services import services_of
from studio.tables.downloads import download
from studio.tables.jobs import jobs_of

LONG = (
    r"/api/v1/tables/uploads",
    r"/api/v1/tables/uploads/[0-9a-f]+/preview",
    r"/api/v1/tables/[^/]+/export",
)
MAX_ROWS = 10_000
router = APIRouter(prefix="/tables", tags=["tables"], dependencies=ONLY_SEEN_TABLES)
_READ, _WRITE, _ADMIN = [allow(Scope.READ)], [allow(Scope.WRITE)], [allow(Scope.ADMIN)]
_Table = Annotated[str, Path(max_length=255, description="`schema.table`.")]
_Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_Exact = Annotated[bool, Query(description="Count large tables and views too.")]
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Uses(BaseModel):
    """What needs a table.

    Attributes:
        items: Views, foreign keys, pipelines, models and datasets.
    """

    items: list[Use]


@router.get("")
def list_tables(
    request: Request,
    who: Annotated[Principal, allow(Scope.READ)],
    *,
    schema: Annotated[str, Query(max_length=63, description="Only this schema.")] = "",
    limit: Limit = 1000,
    after: After = "",
    exact: _Exact = False,
) -> TableList:
    """List tables with their rows, bytes and columns."""
    found = services_of(request).tables.list(schema, limit=limit, after=after, exact=exact)
    closed = closed_tables(services_of(request), who.sees)
    return found.model_copy(update={"items": [each for each in found.items if each.table not in closed]})


@router.post("/uploads", status_code=201, dependencies=_WRITE, openapi_extra=_FILE)
async def send_file(
    request: Request, name: Annotated[str, Query(min_length=1, max_length=255, description="Its name.")]
) -> Upload:
    """Send a file, as the body of the request; it is kept for a day."""
    with Uploads.of(services_of(request).project).incoming(name) as file:
        async for chunk in request.stream():
            await asyncio.to_thread(file.write, chunk)
        return file.finish()


@router.post("/uploads/{upload_id}/preview", dependencies=_WRITE)
def preview_file(request: Request, upload_id: _Id, body: CreateRequest) -> Preview:
    """Say what a file would become: columns, types, first rows. Nothing is loaded."""
    project = services_of(request).project
    return preview_of(project, body, Uploads.of(project).source(upload_id))


@router.post("/uploads/{upload_id}/load", status_code=202, dependencies=_WRITE)
def load_file(request: Request, upload_id: _Id, body: CreateRequest) -> Job:
    """Make a table of a file, beside the requests: ask for the job until it is done or has failed."""
    return jobs_of(services_of(request)).start(body, upload_id)


@router.delete("/uploads/{upload_id}", status_code=204, dependencies=_WRITE)
def delete_file(request: Request, upload_id: _Id) -> None:
    """Delete a file that was sent."""
    Uploads.of(services_of(request).project).delete(upload_id)


@router.get("/jobs/{job_id}", dependencies=_READ)
def get_job(request: Request, job_id: _Id) -> Job:
    """Return how a load stands."""
    return jobs_of(services_of(request)).get(job_id)


@router.get("/{table}", dependencies=_READ, response_model=TableDetail)
def get_table(request: Request, table: _Table, exact: _Exact = False) -> Response:
    """Return a table with its columns."""
    return with_etag(request, services_of(request).tables.get(table, exact=exact))


@router.get("/{table}/rows", dependencies=_READ)
def read_rows(request: Request, table: _Table, choice: Annotated[ReadChoice, Query()]) -> Rows:
    """Return rows of a table; `after` of the next request is `next` of this answer."""
    limit = min(choice.limit or MAX_ROWS, MAX_ROWS)
    wanted = checked(ReadRequest, table=table, **{**choice.model_dump(), "limit": limit})
    return services_of(request).tables.read(wanted)


@router.get("/{table}/export", dependencies=_READ, response_class=Response)
async def export_table(request: Request, table: _Table, choice: Annotated[ExportChoice, Query()]) -> Response:
    """Return the rows of a table as a file; an answer that breaks off is not whole."""
    wanted = checked(ExportRequest, table=table, **choice.model_dump())
    return await download(services_of(request), wanted)


@router.get("/{table}/uses", dependencies=_READ)
def list_uses(request: Request, table: _Table) -> Uses:
    """Return what needs a table, and keeps it from being deleted."""
    return Uses(items=list(services_of(request).tables.uses(table)))


@router.delete("/{table}", dependencies=_ADMIN)
def delete_table(request: Request, table: _Table) -> DeletedTable:
    """Delete a table that nothing needs."""
    return services_of(request).tables.delete(str(TableName.parse(table)))

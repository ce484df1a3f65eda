"""Dictionaries over HTTP: make, look, edit rows, import files, and what was changed."""

import asyncio
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from dteg.dictionaries.models import (
    MAX_PUT_ROWS,
    SLUG_PATTERN,
    Dictionary,
    DictionaryRows,
    DictionaryUpdate,
    History,
    ImportReport,
    NewDictionary,
    PutReport,
    Row,
)
from dteg.tables.uploads import Uploads
from studio.access import Principal, Scope, allow
from studio.answers import After, Limit, Page, page_of, with_etag
from studio.services import services_of

LONG = (r"/api/v1/dictionaries/[^/]+/import",)
router = APIRouter(prefix="/dictionaries", tags=["dictionaries"])
_READ, _ADMIN = [allow(Scope.READ)], [allow(Scope.ADMIN)]
Writer = Annotated[Principal, allow(Scope.WRITE)]
Slug = Annotated[str, Path(pattern=SLUG_PATTERN, description="Its name.")]
_Key = str | int | float
_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class RowsToPut(BaseModel):
    """Rows to insert or update, all or none."""

    rows: list[Row] = Field(max_length=MAX_PUT_ROWS, description="Values by column; the key is among them.")
    since: int | None = Field(
        None, description="Version that was seen: refuse rows that somebody else has changed since."
    )
    delete: list[_Key] = Field(
        [], max_length=MAX_PUT_ROWS, description="Keys of rows to delete together with it."
    )
    must_be_new: list[_Key] = Field(
        [], max_length=MAX_PUT_ROWS, description="Keys that are refused if they are there."
    )


class RowsToDelete(BaseModel):
    """Rows to delete."""

    keys: list[_Key] = Field(max_length=MAX_PUT_ROWS, description="Their keys.")
    since: int | None = Field(
        None, description="Version that was seen: refuse rows that somebody else has changed since."
    )


class Deleted(BaseModel):
    """What became of rows that should be deleted."""

    deleted: int = Field(description="How many there were.")


@router.get("", dependencies=_READ)
def list_dictionaries(request: Request, limit: Limit = 100, after: After = "") -> Page[Dictionary]:
    """List the dictionaries."""
    return page_of(services_of(request).dictionaries.dictionaries(), limit, after, key=lambda each: each.slug)


@router.post("", status_code=201)
def create_dictionary(request: Request, new: NewDictionary, who: Writer) -> Dictionary:
    """Make an empty dictionary."""
    return services_of(request).dictionaries.create(new, who.name)


@router.get("/{slug}", response_model=Dictionary, dependencies=_READ)
def get_dictionary(request: Request, slug: Slug) -> Response:
    """Return one dictionary."""
    return with_etag(request, services_of(request).dictionaries.get(slug))


@router.put("/{slug}", dependencies=[allow(Scope.WRITE)])
def change_dictionary(request: Request, slug: Slug, body: DictionaryUpdate) -> Dictionary:
    """Give a dictionary another title, or more columns; its rows stay."""
    return services_of(request).dictionaries.update(slug, body)


@router.delete("/{slug}", status_code=204, dependencies=_ADMIN)
def remove_dictionary(request: Request, slug: Slug) -> None:
    """Delete a dictionary that nothing uses, with its history."""
    services_of(request).dictionaries.remove(slug)


@router.get("/{slug}/rows", dependencies=_READ)
def read_rows(
    request: Request,
    slug: Slug,
    limit: Limit = 100,
    after: After = "",
    find: Annotated[str, Query(max_length=200, description="Only rows that hold this text.")] = "",
) -> DictionaryRows:
    """Return rows in the order of their keys."""
    return services_of(request).dictionaries.rows(slug, limit, after, find)


@router.put("/{slug}/rows")
def put_rows(request: Request, slug: Slug, body: RowsToPut, who: Writer) -> PutReport:
    """Insert rows and update those whose key is there; nothing is changed if one of them cannot be taken."""
    return services_of(request).dictionaries.put(
        slug, body.rows, who.name, body.since, delete=body.delete, must_be_new=body.must_be_new
    )


@router.post("/{slug}/rows/delete")
def delete_rows(request: Request, slug: Slug, body: RowsToDelete, who: Writer) -> Deleted:
    """Delete rows by key."""
    return Deleted(
        deleted=services_of(request).dictionaries.delete_rows(slug, body.keys, who.name, body.since)
    )


@router.post("/{slug}/import", openapi_extra=_FILE)
async def import_file(
    request: Request,
    slug: Slug,
    who: Writer,
    *,
    name: Annotated[str, Query(min_length=1, max_length=255, description="Its name, which says its format.")],
    replace: Annotated[bool, Query(description="Delete the rows that the file does not have.")] = False,
    preview: Annotated[bool, Query(description="Change nothing, only say what would happen.")] = False,
) -> ImportReport:
    """Take the rows of a CSV or Excel file, the body of the request; with problems in the answer nothing was changed."""
    services = services_of(request)
    uploads = Uploads.of(services.project)
    with uploads.incoming(name) as file:
        async for chunk in request.stream():
            await asyncio.to_thread(file.write, chunk)
        upload = file.finish()
    try:
        source = uploads.source(upload.id)
        path: FilePath = source.folder / source.path
        return await asyncio.to_thread(
            services.dictionaries.import_file, slug, path, replace, who.name, preview
        )
    finally:
        uploads.delete(upload.id)


@router.get("/{slug}/history", dependencies=_READ)
def read_history(
    request: Request,
    slug: Slug,
    limit: Limit = 100,
    before: Annotated[int | None, Query(ge=1, description="Only changes older than this id.")] = None,
    key: Annotated[str, Query(max_length=2000, description="Only changes of the row with this key.")] = "",
) -> History:
    """Return the changes of rows, newest first."""
    return services_of(request).dictionaries.history(slug, limit, before, key)

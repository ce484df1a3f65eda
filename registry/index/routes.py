"""The package index and the files over HTTP, for pip, uv, mirrors and caches."""

import re
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse

from dteg.core.errors import NotFoundError
from dteg.webapp.problems import problem
from registry.access import NOBODY, Access, Principal, principal_of
from registry.downloads.models import DownloadKind
from registry.index.pages import JSON, Page, media_type
from registry.licences.entitlements import entitlement_in
from registry.releases.models import IndexedFile
from registry.services import Services, services_of

router = APIRouter(tags=["index"])
_FRESH = "public, max-age=60, stale-while-revalidate=600"
_FOR_EVER = "public, max-age=31536000, immutable"
_PRIVATE = "private, no-store"
_STALE = "X-Registry-Stale"
_WHEEL = "application/octet-stream"
_NORMAL = re.compile(r"[-_.]+")
# Files up to this size are read at once: they lie in memory, as they were hashed before, and the four turns of a thread
# that `FileResponse` takes wait long behind other requests.
_READ_AT_ONCE_BYTES = 262_144
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Filename = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.+-]+\.whl(\.metadata)?$", max_length=260)]


class Unread(Access):
    """For everybody, with or without credentials: these are not looked at, so the database is not needed for them."""

    async def __call__(self, request: Request) -> Principal:
        """Return nobody."""
        return NOBODY


Everybody = Annotated[Principal, Depends(Unread(None))]


@router.head("/simple/", include_in_schema=False, response_class=Response)
@router.get("/simple/", response_class=Response)
async def read_names(request: Request, _: Everybody) -> Response:
    """Return the names of all packages, as HTML or JSON."""
    index = services_of(request).index
    kind = media_type(request.headers.get("accept", ""))
    return _page(request, index.names.page(kind), kind, index.stale_s) if kind else _not_acceptable()


@router.head("/simple/{name}/", include_in_schema=False, response_class=Response)
@router.get("/simple/{name}/", response_class=Response)
async def read_project(
    request: Request, name: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]+$", max_length=200)], _: Everybody
) -> Response:
    """Return the files of a package, as HTML or JSON; yanked ones are marked."""
    index = services_of(request).index
    project = index.project(name)
    if project is None:
        normal = _NORMAL.sub("-", name).lower()
        if normal != name and index.project(normal) is not None:
            return RedirectResponse(f"/simple/{normal}/", 301, {"Cache-Control": _FRESH})
        raise NotFoundError(f"there is no package {name!r} here")
    kind = media_type(request.headers.get("accept", ""))
    return _page(request, project.page(kind), kind, index.stale_s) if kind else _not_acceptable()


@router.head("/files/{sha256}/{filename}", include_in_schema=False, response_class=Response)
@router.get("/files/{sha256}/{filename}", response_class=Response)
async def read_file(request: Request, sha256: Sha256, filename: Filename, _: Everybody) -> Response:
    """Return a wheel, or with `.metadata` at the end its METADATA; the address never has another content."""
    services = services_of(request)
    wheel = filename.removesuffix(".metadata")
    file = await services.index.file(sha256, wheel)
    if file is None:
        raise NotFoundError(f"there is no file {filename} with this hash, or it was withdrawn")
    if wheel != filename:
        return await _content(
            request, services, file.metadata_sha256, {"Cache-Control": _FOR_EVER}, "text/plain"
        )
    if not file.free:
        await _refuse_unlicensed(request, services, file)
    headers = {"Cache-Control": _FOR_EVER if file.free else _PRIVATE}
    answer = await _content(request, services, sha256, headers, _WHEEL)
    if request.method == "GET" and "range" not in request.headers and answer.status_code == 200:
        _count(request, services, file)
    return answer


def _page(request: Request, page: Page, kind: str, stale_s: float) -> Response:
    headers = {"ETag": page.etag, "Vary": "Accept, Accept-Encoding", "Cache-Control": _FRESH}
    if stale_s:
        headers[_STALE] = f"{stale_s:.0f}"
    if _has(request.headers, page.etag):
        return Response(None, 304, headers)
    if page.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = page.packed, "gzip"
        # Another sequence of bytes needs another strong tag.
        headers["ETag"] = f'{page.etag[:-1]}-gz"'
    else:
        body = page.body
    return Response(body, 200, headers, kind if kind == JSON else f"{kind}; charset=utf-8")


def _has(headers: Mapping[str, str], etag: str) -> bool:
    """Return whether the client has this content, packed or not."""
    given = headers.get("if-none-match")
    return given is not None and (etag[:-1] in given or given.strip() == "*")


def _not_acceptable() -> Response:
    return problem(406, "not_acceptable", f"there is JSON ({JSON}) and text/html: ask for one of them")


async def _content(
    request: Request, services: Services, sha256: str, headers: dict[str, str], kind: str
) -> Response:
    headers |= {"ETag": f'"{sha256}"', "X-Content-Type-Options": "nosniff"}
    if _has(request.headers, headers["ETag"]):
        return Response(None, 304, headers)
    path = await services.blobs.path(sha256)
    if path is not None:
        return _file(request, path, headers, kind)
    chunks = services.blobs.read(sha256)
    # The first part is asked for here, so that a missing or damaged file is an error and not half an answer.
    first = await anext(chunks)

    async def all_chunks() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return StreamingResponse(all_chunks(), headers=headers, media_type=kind)


def _file(request: Request, path: FilePath, headers: dict[str, str], kind: str) -> Response:
    status = path.stat()
    whole = request.method == "GET" and "range" not in request.headers
    if not whole or status.st_size > _READ_AT_ONCE_BYTES:
        return FileResponse(path, headers=headers, media_type=kind, stat_result=status)
    headers |= {"Accept-Ranges": "bytes", "Last-Modified": formatdate(status.st_mtime, usegmt=True)}
    return Response(path.read_bytes(), 200, headers, kind)


async def _refuse_unlicensed(request: Request, services: Services, file: IndexedFile) -> None:
    entitlement = entitlement_in(request.headers)
    # An entitlement comes where a token comes otherwise, and is none.
    who = NOBODY if entitlement else await principal_of(request)
    release = await services.releases.get(file.component, file.version)
    await services.licences.check_download(who, file.component, release, entitlement=entitlement)


def _count(request: Request, services: Services, file: IndexedFile) -> None:
    kind = DownloadKind.of_agent(request.headers.get("user-agent", ""))
    services.downloads.count(file.component, file.version, kind)

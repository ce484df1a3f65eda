"""A table as the answer to a request, in parts; who goes away leaves no query running."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

import anyio
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from dteg.tables.export import MEDIA_TYPES
from dteg.tables.models import ExportRequest
from studio.services import Services


async def download(services: Services, request: ExportRequest) -> Response:
    """Return the file; what is wrong with the request is found before the answer begins.

    Raises:
        DtegError: There is no such table or column, or the format cannot hold the first rows.
    """
    parts = services.tables.export(request)
    first = await run_in_threadpool(next, parts, b"")
    name = f"{request.table.removeprefix('public.')}.{request.format}"
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(_rest(first, parts), media_type=MEDIA_TYPES[request.format], headers=headers)


async def _rest(first: bytes, parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        while (part := await run_in_threadpool(next, parts, None)) is not None:
            yield part
    finally:
        # Also when the client has gone: the query must end and the connection be given back.
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(parts.close)  # type: ignore[attr-defined] # a generator

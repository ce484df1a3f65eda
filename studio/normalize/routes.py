"""Flat files taken apart over HTTP: a file is sent first (`POST /tables/uploads`)."""

import threading
from typing import Annotated

from fastapi import APIRouter, Path, Request

from dteg.core.errors import ConfigError, UnavailableError
from dteg.normalize.service import Normalizer, NormalizeRequest, NormalizeResult
from dteg.tables.uploads import Uploads
from studio.access import Scope, allow
from studio.services import Services, services_of

router = APIRouter(prefix="/normalize", tags=["normalize"])
LONG = (r"/api/v1/normalize/[0-9a-f]+",)
UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of a file that was sent.")]
_RETRY_S = 20
# One at a time: each may take a gigabyte of memory.
_turn = threading.Lock()


@router.post("/{upload_id}", dependencies=[allow(Scope.WRITE)])
def normalize_file(request: Request, upload_id: UploadId, body: NormalizeRequest) -> NormalizeResult:
    """Take a file apart into tables, proved on all rows; with `into` they are loaded."""
    return run(services_of(request), upload_id, body)


def run(services: Services, upload_id: str, wanted: NormalizeRequest) -> NormalizeResult:
    """Take a file apart that was sent.

    Raises:
        ConfigError: It should be written to a folder of the server.
        UnavailableError: Another file is being taken apart.
    """
    if wanted.out:
        raise ConfigError("out is a folder of the server's: use the command dteg normalize for that")
    source = Uploads.of(services.project).source(upload_id)
    if not _turn.acquire(blocking=False):
        raise UnavailableError(
            "another file is being taken apart: try again in a moment", retry_after_s=_RETRY_S
        )
    try:
        return Normalizer.of(services.project).run(wanted, str(source.folder / source.path))
    finally:
        _turn.release()

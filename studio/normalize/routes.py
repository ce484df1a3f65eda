"""Flat files taken apart over HTTP: a file is sent first (`POST /tables/uploads`)."""

import dataclasses
import tempfile
import threading
import zipfile
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse

from dteg.core.errors import ConfigError, DtegError, NotFoundError, UnavailableError
from dteg.normalize.service import Normalizer, NormalizeRequest, NormalizeResult
from dteg.tables.uploads import Uploads
from studio.access import Scope, allow
from studio.services import Services, services_of

router = APIRouter(prefix="/normalize", tags=["normalize"])
LONG = (r"/api/v1/normalize/[0-9a-f]+", r"/api/v1/normalize/files/[0-9a-f]+")
UploadId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of a file that was sent.")]
_RETRY_S = 20
_ARCHIVE = "normalized.zip"
# One at a time: each may take a gigabyte of memory.
_turn = threading.Lock()


@router.post("/{upload_id}", dependencies=[allow(Scope.WRITE)])
def normalize_file(
    request: Request, upload_id: UploadId, body: NormalizeRequest,
    with_files: Annotated[bool, Query(description="Keep the files of the tables, packed, for a day.")] = False,
) -> NormalizeResult:  # fmt: skip
    """Take a file apart into tables, proved on all rows; with `into` they are loaded."""
    return run(services_of(request), upload_id, body, with_files=with_files)


@router.get("/files/{upload_id}", dependencies=[allow(Scope.WRITE)], response_class=FileResponse)
def packed_files(request: Request, upload_id: UploadId) -> FileResponse:
    """The files of tables that were kept, as a zip file."""
    source = Uploads.of(services_of(request).project).source(upload_id)
    if source.path != _ARCHIVE:
        raise NotFoundError(f"there are no files {upload_id!r}; take the file apart again")
    return FileResponse(source.folder / source.path, media_type="application/zip", filename=_ARCHIVE)


def run(
    services: Services, upload_id: str, wanted: NormalizeRequest, *, with_files: bool = False
) -> NormalizeResult:
    """Take a file apart that was sent.

    Args:
        services: Those of the studio.
        upload_id: The file.
        wanted: How.
        with_files: Keep the files of the tables, packed, as an upload.

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
        if not with_files:
            return Normalizer.of(services.project).run(wanted, str(source.folder / source.path))
        with tempfile.TemporaryDirectory(prefix="dteg-") as name:
            out = FilePath(name) / "out"
            asked = wanted.model_copy(update={"out": str(out)})
            result = Normalizer.of(services.project).run(asked, str(source.folder / source.path))
            return result.model_copy(update={"out": "", "archive": _packed(services, out)})
    except DtegError as error:
        raise _without_folder(error, source.folder) from None
    finally:
        _turn.release()


def _without_folder(error: DtegError, folder: FilePath) -> DtegError:
    """Return an error that names the file as it was sent, not where it lies on the server."""
    place = f"{folder}/"
    if isinstance(error, ConfigError):
        return ConfigError(
            [
                dataclasses.replace(
                    each, file=each.file.replace(place, ""), message=each.message.replace(place, "")
                )
                for each in error.problems
            ]
        )
    error.args = (str(error).replace(place, ""),)
    return error


def _packed(services: Services, folder: FilePath) -> str:
    """Keep a folder as a zip file among the uploads, which are deleted after a day; return its id."""
    with Uploads.of(services.project).incoming(_ARCHIVE) as incoming:
        archive = folder.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    files.write(path, path.relative_to(folder).as_posix())
        with archive.open("rb") as file:
            while part := file.read(1 << 20):
                incoming.write(part)
        return incoming.finish().id

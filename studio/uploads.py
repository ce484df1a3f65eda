"""Files that come with forms."""

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from dteg.core.errors import InputError
from dteg.core.project import Project
from dteg.tables.models import Upload
from dteg.tables.uploads import Uploads

_CHUNK_BYTES = 1 << 20


async def keep_file(project: Project, sent: FormData, field: str) -> Upload | None:
    """Keep the file of a field until it is used; None if none was chosen.

    Raises:
        InputError: It is empty.
    """
    file = sent.get(field)
    if not isinstance(file, UploadFile) or not file.filename:
        return None
    with Uploads.of(project).incoming(file.filename) as incoming:
        while chunk := await file.read(_CHUNK_BYTES):
            await run_in_threadpool(incoming.write, chunk)
        return incoming.finish()


async def require_file(project: Project, sent: FormData, field: str = "file") -> Upload:
    """Keep the file of a field until it is used.

    Raises:
        InputError: None was chosen, or it is empty.
    """
    if (kept := await keep_file(project, sent, field)) is None:
        raise InputError("choose a file")
    return kept

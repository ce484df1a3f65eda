"""Files that were sent for a source: kept in the project's state as long as the source is there."""

import shutil
from pathlib import Path

from dteg.core.project import Project
from dteg.tables.uploads import Uploads


def folder_of(project: Project, slug: str) -> Path:
    """Return where the files of a source are kept."""
    return project.state_dir / "sources" / slug


def keep_upload(project: Project, slug: str, upload_id: str) -> str:
    """Keep an upload, which is deleted after a day otherwise; return what the option `path` is then.

    Raises:
        NotFoundError: There is no such upload.
    """
    source = Uploads.of(project).source(upload_id)
    folder = folder_of(project, slug)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f".{source.path}.partial"
    shutil.copyfile(source.folder / source.path, partial)
    partial.replace(folder / source.path)
    Uploads.of(project).delete(upload_id)
    return f"upload:{source.path}"


def forget_uploads(project: Project, slug: str) -> None:
    """Delete the files of a source."""
    shutil.rmtree(folder_of(project, slug), ignore_errors=True)

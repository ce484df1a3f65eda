"""From a URI to a target."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dteg.backups.targets.port import Target
from dteg.core.errors import ConfigError, MissingExtraError
from dteg.core.project import Project

DEFAULT_VARIABLE = "DTEG_BACKUP_TARGET"
_OBJECTS = frozenset({"s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss"})


def open_target(uri: str, project: Project) -> Target:
    """Return the target that a URI names.

    Args:
        uri: `file:///folder` or a path, `s3://bucket/folder`, `gs://…`, `az://…`, `sftp://user@host/folder`; empty
            for `DTEG_BACKUP_TARGET`, else the folder `backups` of the project.
        project: For the default, and paths that are not absolute.

    Raises:
        ConfigError: Not such a URI, or it holds a password.
        MissingExtraError: The library for it is not installed.
    """
    uri = uri or os.environ.get(DEFAULT_VARIABLE, "")
    if "://" not in uri:
        return _folder(project.root / Path(uri or "backups").expanduser())
    parts = urlsplit(uri)
    if parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            "the URI of a target holds no password and no options: credentials come from the environment"
        )
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise ConfigError("write file:///folder, with three slashes")
        return _folder(Path(unquote(parts.path)))
    if parts.scheme in _OBJECTS and parts.netloc:
        return _objects(uri)
    if parts.scheme == "sftp" and parts.hostname:
        return _sftp(uri)
    raise ConfigError(
        f"{parts.scheme}://: write a path, file:///, s3://, gs://, az:// or sftp://, with what follows"
    )


def _folder(path: Path) -> Target:
    from dteg.backups.targets.files import FileTarget

    return FileTarget(path.absolute())


def _objects(uri: str) -> Target:
    try:
        from dteg.backups.targets.objects import ObjectTarget
    except ImportError:
        raise MissingExtraError("backups", "a backup into an object store") from None
    return ObjectTarget(uri)


def _sftp(uri: str) -> Target:
    try:
        from dteg.backups.targets.sftp import SftpTarget
    except ImportError:
        raise MissingExtraError("backups", "a backup through SFTP") from None
    return SftpTarget(uri)

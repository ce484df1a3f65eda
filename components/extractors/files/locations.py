"""Finds the files that a path means, and tells whether they changed."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dteg.connectors.base import ChangeSensor
from dteg.core.errors import InputError
from dteg.core.project import Project
from dteg.core.secrets import redact

from .config import PACKAGE_SCHEME, FilesConfig

if TYPE_CHECKING:
    from .http_cache import HttpCache


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that can be opened.

    Attributes:
        display: Name in messages and checkpoints: the path as it was configured, never with a password.
        path: Where it lies on this machine.
        fingerprint: Differs when the content does.
    """

    display: str
    path: Path
    fingerprint: str


def find_files(config: FilesConfig, project: Project) -> list[SourceFile]:
    """Return the files in a fixed order; a URL is downloaded first.

    Raises:
        InputError: There is no such file.
        TransientError: The server may answer later.
        PermanentError: The server refuses.
    """
    if config.is_http:
        cached = _http_cache(config, project).fetch()
        return [SourceFile(redact(config.path), cached.path, cached.fingerprint)]
    return list(_installed_or_local(config, project))


def _installed_or_local(config: FilesConfig, project: Project) -> Iterator[SourceFile]:
    if config.path.startswith(PACKAGE_SCHEME):
        yield _package_file(config.path)
        return
    for display in _matches(config.path, project.root):
        path = project.root / display
        if path.is_dir():
            raise InputError(f"is a folder; write {display.rstrip('/')}/*.csv or the like", source=display)
        try:
            stat = path.stat()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", source=display) from None
        yield SourceFile(display, path, f"size={stat.st_size};mtime_ns={stat.st_mtime_ns}")


def _matches(pattern: str, root: Path) -> list[str]:
    if pattern.startswith("~"):
        try:
            pattern = str(Path(pattern).expanduser())
        except RuntimeError:
            raise InputError("there is no such home folder", source=pattern) from None
    if (root / pattern).exists():  # also when its name holds a bracket
        return [pattern]
    if not glob.has_magic(pattern):
        raise InputError("there is no such file", source=pattern)
    # Unlike Path.glob, this also takes absolute patterns.
    found = sorted(glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207
    if not found:
        raise InputError("no file matches", source=pattern)
    return found


def _package_file(url: str) -> SourceFile:
    name, _, inner = url.removeprefix(PACKAGE_SCHEME).partition("/")
    try:
        package: Distribution = distribution(name)
    except (PackageNotFoundError, ValueError):
        raise InputError(
            f"the Python package {name!r} is not installed; uv pip install {name}", source=url
        ) from None
    for file in package.files or ():
        if file == PurePosixPath(inner):
            path = Path(str(file.locate()))
            if path.is_file():
                return SourceFile(url, path, f"version={package.version};size={path.stat().st_size}")
    raise InputError(f"the Python package {name} {package.version} has no file {inner!r}", source=url)


def _http_cache(config: FilesConfig, project: Project) -> "HttpCache":
    from .http_cache import HttpCache  # its HTTP client takes 0.1 s to import

    return HttpCache(config.path, config.headers, project.state_dir / "cache", config.timeout_s)


class FilesSensor(ChangeSensor):
    """Asks for size and time of each file, or for the headers of a URL."""

    def __init__(self, config: FilesConfig, project: Project) -> None:
        self._config = config
        self._project = project

    def fingerprint(self) -> str:
        """Return the fingerprints of all files; no file yet is a state like any other."""
        if self._config.is_http:
            return _http_cache(self._config, self._project).current_version()
        try:
            files = list(_installed_or_local(self._config, self._project))
        except InputError as error:
            return str(error)
        return "\n".join(f"{file.display} {file.fingerprint}" for file in files)

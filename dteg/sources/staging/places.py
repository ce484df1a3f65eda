"""Where the file of a source lies: below folders that a project allows, kept from an upload, or at an address."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from dteg.core.errors import ConfigError, DeniedError, InputError
from dteg.core.project import Project
from dteg.sources.kinds import Link
from dteg.sources.staging.options import UPLOAD, LocatedOptions, headers_of
from dteg.sources.staging.settings import settings_of
from dteg.sources.staging.uploads import folder_of
from dteg.tables.uploads import plain_name

MB = 1_000_000


@contextmanager
def local_file(link: Link, left_s: float = math.inf) -> Iterator[Path]:
    """Yield the file of a source on this machine; one at an address is downloaded, and deleted at the end.

    Args:
        link: The source.
        left_s: Longest time of a download, beside the setting `timeout_s` (s).

    Raises:
        DeniedError: It lies where this project's sources may not look.
        InputError: It is not there, or too large.
        TransientError: The address does not answer.
        PermanentError: It refuses us.
    """
    options: LocatedOptions = link.options
    if not options.is_http:
        path = allowed_path(link.project, link.slug, options.path)
        if path.stat().st_size > options.max_mb * MB:
            raise InputError(too_large(options.max_mb), source=options.path)
        yield path
        return
    from dteg.sources.staging.fetching import fetched

    allowed = settings_of(link.project).private_hosts
    with fetched(
        options.path, headers_of(options.headers), download_folder(link), max_bytes=options.max_mb * MB,
        timeout_s=min(options.timeout_s, left_s), allowed=allowed,
    ) as path:  # fmt: skip
        yield path


def allowed_path(project: Project, slug: str, path: str) -> Path:
    """Return a file that a source may read.

    Hidden files and folders are refused, in which programs keep keys and logins, and links that lead out of the
    allowed folders.

    Raises:
        DeniedError: It lies elsewhere.
        InputError: There is no such file.
    """
    if path.startswith(UPLOAD):
        kept = folder_of(project, slug) / plain_name(path.removeprefix(UPLOAD))
        if not kept.is_file():
            raise InputError("the file that was sent is not here any more; send it again", source=path)
        return kept
    wanted = project.root / path
    try:
        found = wanted.resolve(strict=True)
    except (OSError, RuntimeError):
        _require_allowed(
            project, wanted.absolute(), path
        )  # what lies elsewhere is not told of, not even that it is missing
        raise InputError("there is no such file below the project folder", source=path) from None
    _require_allowed(project, found, path)
    if not found.is_file():
        raise InputError("is no file; name one file", source=path)
    return found


def _require_allowed(project: Project, found: Path, path: str) -> None:
    folders = [project.root, *(project.root / each for each in settings_of(project).folders)]
    for folder in folders:
        base = folder.resolve()
        if found.is_relative_to(base) and ".." not in found.parts:
            if any(part.startswith(".") for part in found.relative_to(base).parts):
                raise DeniedError(f"hidden files and folders are not read: {path}")
            return
    raise DeniedError(
        f"{path} lies outside of the project folder; if it may be read, allow its folder in dteg.toml: "
        '[sources] folders = ["..."]'
    )


def check_place(link: Link) -> None:
    """Refuse a place that cannot be right, without looking at it.

    Raises:
        ConfigError: The address is none.
    """
    options: LocatedOptions = link.options
    if options.is_http:
        parts = urlsplit(options.path)
        try:
            good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            good = False
        if not good:
            raise ConfigError("path: this is no address")
        if "@" in parts.netloc:
            raise ConfigError("path: an address without user and password; use headers with a secret")
        settings_of(link.project)
    elif any(letter in options.path for letter in "*?"):
        raise ConfigError("path: one file, without * and ?")


def name_of(options: LocatedOptions) -> str:
    """Return the name of the file, as its place says it."""
    if options.is_http:
        return PurePosixPath(unquote(urlsplit(options.path).path)).name or "data"
    return PurePosixPath(options.path.removeprefix(UPLOAD)).name


def download_folder(link: Link) -> Path:
    """Return where a download of a source lies meanwhile."""
    key = hashlib.sha256(link.slug.encode()).hexdigest()[:12]
    return link.project.state_dir / "cache" / f"source-{key}"


def too_large(max_mb: int) -> str:
    """Say that a file is too large."""
    return f"larger than {max_mb:,} MB; raise max_mb, or read a part of it"

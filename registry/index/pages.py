"""Pages of the package index as pip and uv read them: PEP 503 (HTML), PEP 691 and 700 (JSON), PEP 592, PEP 658.

JSON, which pip and uv ask for, is made when a release changes and then kept compressed, so that memory does not depend
on what was asked for. HTML, for people and old programs, is made for each request.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property, lru_cache
from html import escape
from typing import Any

import orjson

from registry.releases.models import IndexedFile

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
LEGACY_HTML = "text/html"
_API_VERSION = "1.1"
_ALIASES = {
    "application/vnd.pypi.simple.latest+json": JSON,
    "application/vnd.pypi.simple.latest+html": HTML,
    "application/*": JSON,
    "text/*": LEGACY_HTML,
    "*/*": LEGACY_HTML,
}
_COMPRESS_FROM_BYTES = 512
_GZIP = 16 + zlib.MAX_WBITS
_MOST_ACCEPTS = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """One page as it is sent.

    Attributes:
        packed: Its bytes with gzip; None where that does not pay.
        etag: Changes with the bytes.
        small: Its bytes where they are not packed.
    """

    packed: bytes | None
    etag: str
    small: bytes = b""

    @property
    def body(self) -> bytes:
        """Its bytes as they are read."""
        return self.small if self.packed is None else zlib.decompress(self.packed, _GZIP)

    @classmethod
    def of(cls, body: bytes) -> "Page":
        """Make one."""
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if len(body) < _COMPRESS_FROM_BYTES:
            return cls(None, etag, body)
        return cls(gzip.compress(body, 6, mtime=0), etag)


class Project:
    """All files of one component, the newest version first. Making one takes about 0.1 ms.

    Args:
        name: Name of the Python package.
        files: Its files; at least one.
    """

    __slots__ = ("_json", "files", "name")

    def __init__(self, name: str, files: Sequence[IndexedFile]) -> None:
        self.name = name
        self.files = tuple(files)
        self._json = self._as_json()

    def page(self, kind: str) -> Page:
        """Return the page in one of the three media types."""
        return self._json if kind == JSON else self._as_html()

    def _as_json(self) -> Page:
        content = {
            "meta": {"api-version": _API_VERSION},
            "name": self.name,
            "versions": [file.version for file in self.files],
            "files": [_file(file) for file in self.files],
        }
        return Page.of(orjson.dumps(content))

    def _as_html(self) -> Page:
        return Page.of(_document(self.name, "\n".join(map(_link, self.files))))


class Names:
    """The list of all projects.

    Args:
        names: Names of Python packages.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)
        self.all = frozenset(self._names)

    def page(self, kind: str) -> Page:
        """Return the page in one of the three media types."""
        return self._json if kind == JSON else self._html

    @cached_property
    def _json(self) -> Page:
        projects = [{"name": name} for name in self._names]
        return Page.of(orjson.dumps({"meta": {"api-version": _API_VERSION}, "projects": projects}))

    @cached_property
    def _html(self) -> Page:
        links = "\n".join(f'<a href="{name}/">{name}</a><br>' for name in self._names)
        return Page.of(_document("Simple index", links))


@lru_cache(_MOST_ACCEPTS)
def media_type(accept: str) -> str | None:
    """Return the best of our media types for an `Accept` header; None when the client takes none of them."""
    best, best_weight = None, 0.0
    for part in accept.lower().split(",") if accept.strip() else ["*/*"]:
        name, *parameters = (each.strip() for each in part.split(";"))
        kind = _ALIASES.get(name, name)
        weight = _weight(parameters)
        if kind in (JSON, HTML, LEGACY_HTML) and weight > best_weight:
            best, best_weight = kind, weight
    return best


def _weight(parameters: list[str]) -> float:
    for each in parameters:
        if each.startswith("q="):
            try:
                return min(max(float(each[2:]), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _file(file: IndexedFile) -> dict[str, Any]:
    metadata = {"sha256": file.metadata_sha256}
    return {
        "filename": file.filename,
        "url": _url(file),
        "hashes": {"sha256": file.sha256},
        "size": file.size,
        "upload-time": file.published_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "requires-python": file.requires_python,
        "core-metadata": metadata,
        "dist-info-metadata": metadata,
        "yanked": file.yanked if file.yanked is not None else False,
    }


def _link(file: IndexedFile) -> str:
    metadata = f"sha256={file.metadata_sha256}"
    yanked = f' data-yanked="{escape(file.yanked)}"' if file.yanked is not None else ""
    return (
        f'<a href="{_url(file)}#sha256={file.sha256}" data-requires-python="{escape(file.requires_python)}" '
        f'data-core-metadata="{metadata}" data-dist-info-metadata="{metadata}"{yanked}>{file.filename}</a><br>'
    )


def _url(file: IndexedFile) -> str:
    # Relative to /simple/<name>/, so that it holds behind any proxy.
    return f"../../files/{file.sha256}/{file.filename}"


def _document(title: str, content: str) -> bytes:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f'<meta name="pypi:repository-version" content="{_API_VERSION}"><title>{escape(title)}</title></head>\n'
        f"<body>\n{content}\n</body>\n</html>\n"
    ).encode()

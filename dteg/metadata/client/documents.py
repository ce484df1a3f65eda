"""The cache's documents: read, checked, and frozen, so that all callers can share one copy."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from dteg.core.errors import InputError

MAX_DOCUMENT_BYTES = 32 << 20
GZIP = b"\x1f\x8b"
_PATH = re.compile(r"[^/\\\x00-\x1f]+(/[^/\\\x00-\x1f]+)*")


class TamperedError(InputError):
    """What was read is not what was published: find out who changed it, then collect again."""


class Frozen(dict[str, Any]):
    """A JSON object that cannot be changed; its lists are tuples. `json.dumps` writes it as it was."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("the cache is shared and cannot be changed: copy.deepcopy(...) gives a copy")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        """Return a copy that can be changed."""
        return {key: _thawed(value) for key, value in self.items()}


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(each) for key, each in value.items()}
    return [_thawed(each) for each in value] if isinstance(value, tuple) else value


def _frozen(values: dict[str, Any]) -> Frozen:
    return Frozen(
        (key, _tuples(value) if isinstance(value, list) else value) for key, value in values.items()
    )


def _tuples(values: list[Any]) -> tuple[Any, ...]:
    return tuple(_tuples(each) if isinstance(each, list) else each for each in values)


def sha256(data: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def parse(data: bytes, source: str) -> Frozen:
    """Return a JSON object, which may be packed with gzip.

    Raises:
        TamperedError: It is too large, or none.
    """
    if data.startswith(GZIP):
        data = unpacked(data, source)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise TamperedError(f"more than {MAX_DOCUMENT_BYTES >> 20} MB", source=source)
    try:
        found = json.loads(data, object_hook=_frozen)
    except (ValueError, RecursionError):
        raise TamperedError("it is no JSON", source=source) from None
    if not isinstance(found, Frozen):
        raise TamperedError("it is no JSON object", source=source)
    return found


def unpacked(data: bytes, source: str) -> bytes:
    """Return what was packed with gzip; never more than a document may have.

    Raises:
        TamperedError: It is damaged, or would be too large.
    """
    import zlib

    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(data, MAX_DOCUMENT_BYTES + 1)
    except zlib.error:
        raise TamperedError("it is no gzip", source=source) from None
    if len(found) > MAX_DOCUMENT_BYTES:
        raise TamperedError(f"more than {MAX_DOCUMENT_BYTES >> 20} MB", source=source)
    if not unpacker.eof or unpacker.unused_data:
        raise TamperedError("it is cut off, or something follows it", source=source)
    return found


def checked(data: bytes, source: str) -> Frozen:
    """Return a manifest, or a document of one table, whose checksum fits (`content_sha256`, if it has one).

    Raises:
        TamperedError: It is another one.
    """
    found = parse(data, source)
    told = found.get("content_sha256")
    if told and told != content_sha256(found):
        raise TamperedError("its checksum does not fit: it was changed after it was published", source=source)
    return found


def content_sha256(document: Mapping[str, Any]) -> str:
    """Return the checksum of a document, whatever keys it has."""
    return sha256(canonical({key: value for key, value in document.items() if key != "content_sha256"}))


def fingerprint_of(tables: Iterable[tuple[str, str]]) -> str:
    """Return one fingerprint of several tables: of their ids and fingerprints."""
    return sha256(canonical(sorted(map(list, tables))))


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys and without spaces, as UTF-8."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def files_of(manifest: Mapping[str, Any], source: str) -> list[tuple[str, str]]:
    """Return the path and SHA-256 of each object that a manifest names.

    Raises:
        TamperedError: A path leads out of the cache, or the manifest is none.
    """
    try:
        files = [(str(each["file"]), str(each["sha256"])) for each in manifest["tables"]]
    except (KeyError, TypeError):
        raise TamperedError("it is no manifest of a metadata cache", source=source) from None
    for path, _ in files:
        if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise TamperedError(f"{path!r} does not lie in the cache", source=source)
    return files

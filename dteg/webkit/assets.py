"""Static files under names that hold the hash of their content, so that a browser may keep them for ever."""

import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_IMMUTABLE = b"public, max-age=31536000, immutable"
_HASH_CHARACTERS = 12
_URL = re.compile(r'url\("([\w.-]+)"\)')
# What a script that is a module asks for: `from "./name.js"`.
_MODULE = re.compile(r'from "\./([\w.-]+\.js)"')
STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file.

    Attributes:
        name: Name with the hash in it.
        media_type: Value of Content-Type.
        content: Its bytes.
        compressed: The same with gzip; empty where that does not help.
    """

    name: str
    media_type: str
    content: bytes
    compressed: bytes


class Assets:
    """The static files of an app, kept in memory; an ASGI application to mount at `prefix`.

    Args:
        folders: More folders of files beside the kit's own; a file there wins over one of the same name.
        prefix: Where it is mounted.
    """

    def __init__(self, folders: Iterable[Path] = (), prefix: str = "/static") -> None:
        self.prefix = prefix
        self._by_plain_name: dict[str, Asset] = {}
        files = {path.name: path for folder in (STATIC, *folders) for path in sorted(folder.iterdir())}
        self._files = {name: path for name, path in files.items() if path.suffix in MEDIA_TYPES}
        # Style sheets last: they name other files, whose hashes must be known.
        for path in sorted(self._files.values(), key=lambda path: (path.suffix == ".css", path.name)):
            self._add(path.name)
        self._by_name = {asset.name: asset for asset in self._by_plain_name.values()}

    def url(self, name: str) -> str:
        """Return the address of a file.

        Raises:
            KeyError: There is no such file.
        """
        return f"{self.prefix}/{self._by_plain_name[name].name}"

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        asset = self._by_name.get(scope["path"].rpartition("/")[2])
        if asset is None or scope["method"] not in ("GET", "HEAD"):
            status, headers, body = _refused(asset is None)
        else:
            status, headers, body = _answer(asset, dict(scope["headers"]))
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _add(self, name: str, above: tuple[str, ...] = ()) -> Asset:
        """Load a file once, the modules that it imports before it: its own hash holds theirs."""
        if name in above:
            raise ValueError(f"modules import each other in a ring: {' -> '.join((*above, name))}")
        if name not in self._by_plain_name:
            self._by_plain_name[name] = self._load(self._files[name], (*above, name))
        return self._by_plain_name[name]

    def _load(self, path: Path, above: tuple[str, ...]) -> Asset:
        content = path.read_bytes()
        if path.suffix == ".js" and _MODULE.search(text := content.decode()):
            content = _MODULE.sub(lambda found: f'from "./{self._add(found[1], above).name}"', text).encode()
        if path.suffix == ".css":
            # Two files lie in one folder: the hashed name alone is the relative address.
            text = _URL.sub(lambda found: f'url("{self._hashed(found[1])}")', content.decode())
            content = text.encode()
        digest = hashlib.sha256(content).hexdigest()[:_HASH_CHARACTERS]
        smaller = gzip.compress(content, mtime=0) if path.suffix != ".woff2" else b""
        name = f"{path.stem}.{digest}{path.suffix}"
        return Asset(name, MEDIA_TYPES[path.suffix], content, smaller if len(smaller) < len(content) else b"")

    def _hashed(self, name: str) -> str:
        found = self._by_plain_name.get(name)
        return found.name if found else name


def _answer(asset: Asset, given: dict[bytes, bytes]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    etag = f'"{asset.name}"'.encode()
    headers = [
        (b"content-type", asset.media_type.encode()),
        (b"cache-control", _IMMUTABLE),
        (b"etag", etag),
        (b"vary", b"Accept-Encoding"),
    ]
    if given.get(b"if-none-match") == etag:
        return 304, headers, b""
    body = asset.content
    if asset.compressed and b"gzip" in given.get(b"accept-encoding", b""):
        headers.append((b"content-encoding", b"gzip"))
        body = asset.compressed
    headers.append((b"content-length", str(len(body)).encode()))
    return 200, headers, body


def _refused(missing: bool) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    body = b"there is no such file" if missing else b"only GET"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    return (404 if missing else 405), headers, body

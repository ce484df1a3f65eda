"""Downloads one URL into a cache folder; what was received before a cut is kept and resumed.

For a URL with key K the folder holds K.data (complete), K.json (its validators), K.part and
K.part.json (unfinished) and K.lock. `K.data` is moved into place before `K.json` is written: after a crash
between the two the old validators make the server send the file again, never the reverse.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from dteg.core.config import Secret
from dteg.core.errors import PermanentError, TransientError
from dteg.core.secrets import redact

MAX_REDIRECTS = 5
_COMPONENT = "files"


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server says identifies the content."""

    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of(cls, response: httpx.Response) -> "Validators":
        """Read the headers."""
        return cls(response.headers.get("etag", ""), response.headers.get("last-modified", ""))

    @classmethod
    def load(cls, path: Path) -> "Validators":
        """Read what `save` wrote; nothing, if that is not readable."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def save(self, path: Path) -> None:
        """Write atomically."""
        partial = path.with_name(path.name + ".tmp")
        partial.write_text(json.dumps(asdict(self)), encoding="utf-8")
        partial.replace(path)

    @property
    def for_range(self) -> str:
        """The validator that a resumed download may rely on: weak ETags do not promise equal bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.etag or self.last_modified)


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A complete download."""

    path: Path
    fingerprint: str


class HttpCache:
    """The cached copy of one URL."""

    def __init__(self, url: str, headers: Mapping[str, Secret], folder: Path, timeout_s: float) -> None:
        self._url = url
        self._headers = headers
        self._timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
        self._folder = folder
        key = hashlib.sha256(url.encode()).hexdigest()[:32]
        self._data, self._meta = folder / f"{key}.data", folder / f"{key}.json"
        self._part, self._part_meta = folder / f"{key}.part", folder / f"{key}.part.json"
        self._lock = folder / f"{key}.lock"

    def fetch(self) -> CachedFile:
        """Return the current content, downloading only what is not there yet.

        Raises:
            TransientError: No answer, a cut or a server error; what was received is kept for the next call.
            PermanentError: The server refuses, or the URL does not exist.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self._send("GET", self._conditions()) as response:
                if response.status_code == 304:
                    return self._cached()
                self._receive(response)
            self._part.replace(self._data)
            self._part_meta.replace(self._meta)
            return self._cached()

    def current_version(self) -> str:
        """Return a text that differs when the server's content does, without downloading it."""
        try:
            with self._send("HEAD", {}) as response:
                return _version(response)
        except PermanentError:
            # Some servers answer no HEAD; a GET can be hung up after its headers.
            with self._send("GET", {}) as response:
                return _version(response)

    def _conditions(self) -> dict[str, str]:
        part = Validators.load(self._part_meta)
        if self._part.exists() and self._part.stat().st_size and part.for_range:
            return {"range": f"bytes={self._part.stat().st_size}-", "if-range": part.for_range}
        known = Validators.load(self._meta)
        if not self._data.exists() or not known:
            return {}
        return {"if-none-match": known.etag} if known.etag else {"if-modified-since": known.last_modified}

    def _receive(self, response: httpx.Response) -> None:
        resumed = response.status_code == 206
        start = self._part.stat().st_size if resumed else 0
        if resumed and not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
            self._part.unlink()
            raise self._transient("the server resumed at the wrong byte; starting again")
        if not resumed:
            self._part.unlink(missing_ok=True)
            Validators.of(response).save(self._part_meta)
        try:
            with self._part.open("ab") as part:
                for chunk in response.iter_raw():
                    part.write(chunk)
        except httpx.TransportError as error:
            kept = self._part.stat().st_size
            raise self._transient(
                f"cut after {kept} bytes ({type(error).__name__}); the next try goes on"
            ) from None

    def _cached(self) -> CachedFile:
        known = Validators.load(self._meta)
        if known:
            size = self._data.stat().st_size
            return CachedFile(
                self._data, f"etag={known.etag};last_modified={known.last_modified};size={size}"
            )
        with self._data.open("rb") as data:
            return CachedFile(self._data, f"sha256={hashlib.file_digest(data, 'sha256').hexdigest()}")

    @contextmanager
    def _send(self, method: str, conditions: dict[str, str]) -> Iterator[httpx.Response]:
        """Send a request and follow redirects; configured headers go only to the configured server."""
        own = {name: value.reveal() for name, value in self._headers.items()}
        # A packed transfer would not have the byte positions that ranges mean.
        always = {"accept-encoding": "identity"} | conditions
        try:
            url = httpx.URL(self._url)
            with httpx.Client(timeout=self._timeout) as client:
                for _ in range(MAX_REDIRECTS + 1):
                    headers = always | (own if _same_server(url, httpx.URL(self._url)) else {})
                    with client.stream(method, url, headers=headers) as response:
                        if response.next_request is None:
                            self._check(response)
                            yield response
                            return
                        url = self._redirected(url, response.next_request.url)
        except httpx.TransportError as error:
            raise self._transient(f"no answer ({type(error).__name__})") from None
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise self._permanent("the URL, a redirect or a header is not valid") from None
        raise self._permanent(f"more than {MAX_REDIRECTS} redirects")

    def _redirected(self, url: httpx.URL, target: httpx.URL) -> httpx.URL:
        if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
            raise self._permanent(f"redirected to {target.scheme}://")
        return target

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (200, 206, 304):
            return
        if status == 416:
            # What was kept is longer than the file now is.
            self._part.unlink(missing_ok=True)
            raise self._transient("the server cannot resume; starting again")
        if status >= 500 or status in (408, 425, 429):
            raise self._transient(f"the server answered {status}", _retry_after_s(response))
        raise self._permanent(f"the server answered {status}")

    def _permanent(self, message: str) -> PermanentError:
        return PermanentError(f"{redact(self._url)}: {message}", component=_COMPONENT)

    def _transient(self, message: str, retry_after_s: float | None = None) -> TransientError:
        return TransientError(
            f"{redact(self._url)}: {message}", component=_COMPONENT, retry_after_s=retry_after_s
        )


def _same_server(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _version(response: httpx.Response) -> str:
    validators = Validators.of(response)
    return f"{validators.etag};{validators.last_modified};{response.headers.get('content-length', '')}"


def _retry_after_s(response: httpx.Response) -> float | None:
    text: str = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        wait = parsedate_to_datetime(text) - datetime.now(UTC)
        return max(0.0, wait.total_seconds())
    except (ValueError, TypeError):
        return None

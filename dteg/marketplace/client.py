"""Talks HTTP with a registry: answers become values, refusals become our errors."""

import hashlib
import io
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from dteg.core.errors import (
    ConflictError,
    DeniedError,
    DtegError,
    EnvironmentProblemError,
    NotFoundError,
    RegistryError,
    UnavailableError,
)
from dteg.marketplace.records import plain

API = "/api/v1"
MAX_ANSWER_BYTES = 32_000_000
ATTEMPTS = 3
MAX_WAIT_S = 10.0
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_AGAIN = frozenset((429, 502, 503, 504))
_IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE"))
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class LimitedError(UnavailableError):
    """Too many requests: try again after `retry_after_s`."""


class TamperedError(RegistryError):
    """A file is not the one that was published: do not use it."""


class NotARegistryError(RegistryError):
    """Something answers, but it is no registry: check the URL."""


class RegistryClient:
    """One registry, over HTTP. Use it in a `with`.

    Args:
        url: Its address, without the path of the API.
        token: Credential; "" for nobody.
        transport: For tests.
        sleep: Waits between two attempts.
    """

    def __init__(
        self, url: str, token: str = "", *, transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        from dteg import __version__

        self.url = url
        self.has_token = bool(token)
        self._sleep = sleep
        headers = {"User-Agent": f"dteg/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # What is sent to this machine itself goes through no proxy.
        local = httpx.URL(url).host in ("127.0.0.1", "::1", "localhost")
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=transport, trust_env=not local
        )

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close connections."""
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON at a path of the API.

        Raises:
            RegistryError: Of the kind that fits.
        """
        return self.call("GET", path, params={k: v for k, v in params.items() if v not in (None, "")})

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Send one request and return the JSON of its answer, None if it has none.

        Args:
            method: HTTP method; requests that change nothing twice are tried again when the network fails.
            path: Path below the API.
            options: For httpx: `json`, `data`, `files`, `params`, `headers`, `timeout`.

        Raises:
            RegistryError: Of the kind that fits.
        """
        return self._json(self._send(method, API + path, **options))

    def raw(self, path: str) -> Any:
        """Return the JSON at a path that is not below the API."""
        return self._json(self._send("GET", path))

    def _json(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise NotARegistryError(f"{self.url} answers, but not as a dteg registry does") from None

    def pages(self, path: str, **params: Any) -> Iterator[Any]:
        """Yield the items of a list, page after page."""
        after: str | None = None
        while True:
            page = self.get(path, **params, **({"after": after} if after else {}))
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise NotARegistryError(f"{self.url}: the list {path} is not as expected")
            yield from page["items"]
            following = page.get("next")
            if not isinstance(following, str) or following == after:
                return
            after = following

    def upload(
        self, path: str, wheel: Path, fields: Mapping[str, str], progress: Progress | None = None
    ) -> Any:
        """Send a file; never tried again by itself, as it may have arrived."""
        with _Counted(wheel, progress) as file:
            files = {"wheel": (wheel.name, file, "application/octet-stream")}
            timeout = httpx.Timeout(120.0, connect=5.0)
            return self.call("POST", path, files=files, data=dict(fields), timeout=timeout)

    def download(
        self, path: str, target: Path, *, sha256: str, size: int, progress: Progress | None = None
    ) -> None:
        """Download a file and check it; `target` is there afterwards only if it is the right one.

        Args:
            path: Path at the registry.
            target: Where to put it.
            sha256: Hash it must have, hexadecimal.
            size: Its size (bytes).
            progress: Told of what has come.

        Raises:
            TamperedError: It is another file.
            RegistryError: It cannot be had.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            self._repeat("GET", lambda: self._fetch(path, beside, size, progress))
            check_file(beside, target.name, sha256=sha256, size=size)
            beside.replace(target)
        except OSError as error:
            raise EnvironmentProblemError(f"{target} cannot be written: {error.strerror}") from None
        finally:
            beside.unlink(missing_ok=True)

    def _fetch(self, path: str, target: Path, size: int, progress: Progress | None) -> httpx.Response:
        # A registry may send us on to its object store; httpx sends no credentials to another host.
        with self._http.stream("GET", path, follow_redirects=True) as response:
            if response.is_success:
                done = 0
                with target.open("wb") as file:
                    for chunk in response.iter_bytes():
                        done += len(chunk)
                        if done > size:  # never more than was promised
                            raise TamperedError(_tampered(target.name, f"more than {size:,} bytes"))
                        file.write(chunk)
                        if progress:
                            progress(done, size)
            else:
                _read(response)
            return response

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        def once() -> httpx.Response:
            with self._http.stream(method, path, **options) as response:
                _read(response)
                return response

        return self._repeat(method, once)

    def _repeat(self, method: str, once: Callable[[], httpx.Response]) -> httpx.Response:
        """Try again when that cannot do harm: what changes something twice only if it was refused as too often."""
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                response = once()
            except httpx.ConnectError:  # nothing was sent
                if last:
                    raise UnavailableError(self._unreachable("cannot be reached")) from None
            except httpx.TimeoutException:
                if last or method not in _IDEMPOTENT:
                    raise UnavailableError(self._unreachable("does not answer in time")) from None
            except httpx.TransportError as error:
                if last or method not in _IDEMPOTENT:
                    raise UnavailableError(
                        self._unreachable(f"breaks off ({type(error).__name__})")
                    ) from None
            else:
                wait = _wait_s(response, attempt)
                again = response.status_code in _AGAIN and (
                    method in _IDEMPOTENT or response.status_code == 429
                )
                if not again or last or wait > MAX_WAIT_S:
                    return self._checked(response)
                self._sleep(wait)
                continue
            self._sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _unreachable(self, what: str) -> str:
        return f"the registry {self.url} {what}; is the address right (DTEG_REGISTRY_URL), and is it running?"

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        raise error_of(response, has_token=self.has_token)


def error_of(response: httpx.Response, *, has_token: bool = True) -> DtegError:
    """Return the error that an answer means."""
    problem = _problem(response)
    if problem is None:
        return NotARegistryError(
            f"{response.url.scheme}://{response.url.netloc.decode()} answers {response.status_code}, "
            "but not as a dteg registry does; check the address"
        )
    detail = plain(problem.get("detail") or problem.get("title") or f"HTTP {response.status_code}")
    wait = _wait_s(response, 1)
    match response.status_code:
        case 401:
            hint = "the token is wrong, expired or revoked" if has_token else "you are not logged in"
            said = "login" in detail  # the registry says it itself
            return DeniedError(detail if said else f"{detail}\n{hint}; run: dteg login", authenticate=True)
        case 403:
            return DeniedError(detail)
        case 422:
            # Where in the request it stands is nothing that a user of commands sees.
            return RegistryError(re.sub(r"(^|; )body\.", r"\1", detail))
        case 404 | 410:
            return NotFoundError(detail)
        case 409:
            return ConflictError(detail)
        case 429:
            return LimitedError(f"{detail}; try again in {wait:.0f} s", retry_after_s=wait)
        case 502 | 503 | 504:
            return UnavailableError(f"{detail}; try again in {wait:.0f} s", retry_after_s=wait)
    return RegistryError(detail)


def check_file(path: Path, name: str, *, sha256: str, size: int) -> None:
    """Check that a file is the one that was published.

    Raises:
        TamperedError: It is not.
    """
    found = path.stat().st_size
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if found != size:
        raise TamperedError(_tampered(name, f"it has {found:,} bytes, published were {size:,}"))
    if actual != sha256:
        raise TamperedError(_tampered(name, f"its SHA-256 is {actual}, published was {sha256}"))


def _tampered(name: str, why: str) -> str:
    return f"{name} was tampered with or damaged: {why}; nothing of it was used"


def _problem(response: httpx.Response) -> dict[str, Any] | None:
    if "json" not in response.headers.get("content-type", ""):
        return None
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _wait_s(response: httpx.Response, attempt: int) -> float:
    try:
        return min(max(float(response.headers.get("retry-after", "")), 0.1), 86_400.0)
    except ValueError:
        return 0.2 * 2.0**attempt


def _read(response: httpx.Response) -> None:
    """Read an answer, but not one without end."""
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise NotARegistryError(f"{response.url.host} sends more than {MAX_ANSWER_BYTES:,} bytes")
    response._content = bytes(data)  # noqa: SLF001 - what Response.read() does, with a limit


class _Counted(io.FileIO):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(path)
        self._progress, self._size, self._done = progress, path.stat().st_size, 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self._done += len(data)
        if self._progress and data:
            self._progress(self._done, self._size)
        return data

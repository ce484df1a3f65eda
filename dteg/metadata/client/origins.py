"""Where a cache lies: a folder, a web server (such as the studio), or a bucket."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from dteg.core.errors import (
    ConfigError,
    DeniedError,
    DtegError,
    MissingExtraError,
    NotFoundError,
    UnavailableError,
)
from dteg.metadata.client.documents import MAX_DOCUMENT_BYTES

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_BUCKETS = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file as it was read.

    Attributes:
        data: Its bytes.
        etag: Changes when it does; "" if nobody tells.
    """

    data: bytes
    etag: str


class Origin(Protocol):
    """Where the files of a cache are read from.

    Attributes:
        is_local: Reading it is as quick as a copy on disk would be.
    """

    is_local: bool

    def read(self, path: str, etag: str = "") -> Fetched | None:
        """Return a file; None if it is still the one of the etag.

        Raises:
            NotFoundError: It is not there.
            DeniedError: The credentials are not good for it.
            UnavailableError: No answer.
        """


def origin_of(uri: str, token: str = "", timeout_s: float = 10.0) -> Origin:
    """Return what reads a cache.

    Args:
        uri: A folder, `file://…`, `https://…`, `s3://…`, `gs://…` or `az://…`.
        token: For `https://`: sent as a bearer token to that server alone.
        timeout_s: For each answer of a server (s).

    Raises:
        ConfigError: The address cannot be used.
    """
    scheme = uri.partition("://")[0] if "://" in uri else ""
    if scheme in ("http", "https"):
        return WebOrigin(uri, token, timeout_s)
    if token:
        raise ConfigError("a token is for http:// and https:// only; buckets read the environment")
    if scheme in _BUCKETS:
        return BucketOrigin(uri, timeout_s)
    if scheme in ("", "file"):
        return FolderOrigin(unquote(urlsplit(uri).path) if scheme else uri)
    raise ConfigError(f"{scheme}://: a metadata cache is a folder, http(s)://, s3://, gs:// or az://")


class FolderOrigin:
    """A folder."""

    is_local = True

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder).expanduser()

    def read(self, path: str, etag: str = "") -> Fetched | None:
        """See `Origin.read`."""
        file = self._folder / path
        try:
            with file.open("rb") as opened:
                # Of the open file: its name may mean the next version a moment later.
                state = os.fstat(opened.fileno())
                now = f"{state.st_mtime_ns}-{state.st_size}-{state.st_ino}"
                return None if etag == now else Fetched(opened.read(MAX_DOCUMENT_BYTES + 1), now)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"{file} is not there; make it with: dteg metadata collect") from None
        except OSError as error:
            raise UnavailableError(f"{file} cannot be read: {error.strerror}") from None


class WebOrigin:
    """A web server. It follows no redirections, so that the token goes nowhere else."""

    is_local = False

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError("the URL of a metadata cache has no user, password or query: give token=")
        if token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ConfigError(f"a token is not sent over http:// to {parts.hostname}: use https://")
        if re.search(r"[\x00-\x20\x7f]", token):
            raise ConfigError("the token holds characters that no token has")
        self._url, self._token, self._timeout_s = url.rstrip("/"), token, timeout_s
        self._opener: Any = None

    def read(self, path: str, etag: str = "") -> Fetched | None:
        """See `Origin.read`."""
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import Request

        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if etag:
            headers["If-None-Match"] = etag
        request = Request(f"{self._url}/{quote(path)}", headers=headers)  # noqa: S310 - http or https: see origin_of
        try:
            with self._opened().open(request, timeout=self._timeout_s) as answer:
                return Fetched(answer.read(MAX_DOCUMENT_BYTES + 1), answer.headers.get("ETag", ""))
        except HTTPError as error:
            with error:
                if error.code == 304:
                    return None
                raise self._refused(error.code, path) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise UnavailableError(f"{self._url} does not answer: {reason}") from None

    def _refused(self, status: int, path: str) -> DtegError:
        if status == 404:
            return NotFoundError(f"{self._url}/{path} is not there")
        if status in (401, 403):
            return DeniedError(f"{self._url} asks for another token (HTTP {status})", authenticate=True)
        return UnavailableError(f"{self._url} answers HTTP {status}")

    def _opened(self) -> Any:
        from urllib.request import HTTPRedirectHandler, build_opener

        class Stay(HTTPRedirectHandler):
            def redirect_request(self, *_: Any, **__: Any) -> None:
                return None

        self._opener = self._opener or build_opener(Stay)
        return self._opener


class BucketOrigin:
    """Objects below a prefix. Credentials come from the environment, as the clouds' own tools read them."""

    is_local = False

    def __init__(self, uri: str, timeout_s: float) -> None:
        self._uri, self._timeout_s = uri.rstrip("/"), timeout_s
        self._store: Any = None

    def read(self, path: str, etag: str = "") -> Fetched | None:
        """See `Origin.read`."""
        store = self._opened()
        import obstore
        from obstore import exceptions

        try:
            got = obstore.get(store, path, options={"if_none_match": etag} if etag else None)
            if got.meta["size"] > MAX_DOCUMENT_BYTES:
                raise UnavailableError(f"{self._uri}/{path} is too large for a metadata cache")
            return Fetched(bytes(got.bytes()), got.meta["e_tag"] or "")
        except exceptions.NotModifiedError:
            return None
        except FileNotFoundError:
            raise NotFoundError(f"{self._uri}/{path} is not there") from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError):
            raise DeniedError(f"the credentials in the environment may not read {self._uri}") from None
        except exceptions.BaseError as error:
            # The store's own message holds addresses and request ids, which are nobody's business.
            raise UnavailableError(f"{self._uri} does not answer ({type(error).__name__})") from None

    def _opened(self) -> Any:
        if self._store is None:
            try:
                from obstore import exceptions
                from obstore.store import from_url
            except ImportError:
                raise MissingExtraError("metadata-client", f"reading {self._uri}") from None
            try:
                self._store = from_url(self._uri, **self._options())
            except (exceptions.BaseError, ValueError) as error:
                raise ConfigError(f"{self._uri}: {str(error).splitlines()[0]}") from None
        return self._store

    def _options(self) -> dict[str, Any]:
        from datetime import timedelta

        limit = timedelta(seconds=self._timeout_s)
        client: dict[str, Any] = {"timeout": limit, "connect_timeout": limit}
        if _says_yes(os.environ, "AWS_ALLOW_HTTP") and self._uri.startswith("s3"):
            client["allow_http"] = True
        return {"client_options": client, "retry_config": {"max_retries": 2, "retry_timeout": limit}}


def _says_yes(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in ("1", "true")

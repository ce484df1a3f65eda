"""Talks HTTP with a studio: answers become values, refusals become the errors that the library itself would raise."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self
from urllib.parse import quote, urlsplit

from dteg.core.errors import ConfigError, DeniedError, DtegError, UnavailableError
from dteg.core.problem_codes import error_for_code
from dteg.core.secrets import resolve

if TYPE_CHECKING:
    import httpx  # imported by whoever asks a studio: commands that work here start 50 ms sooner without it

API = "/api/v1"
URL_VARIABLE = "DTEG_STUDIO_URL"
TOKEN_VARIABLE = "DTEG_STUDIO_TOKEN"  # noqa: S105 - the name of a variable
MAX_ANSWER_BYTES = 64_000_000
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Work that a studio does before it answers, such as the load of a file, may take its time.
_TIMEOUT_S, _CONNECT_TIMEOUT_S = 3600.0, 5.0


class StudioClient:
    """One studio, over HTTP. Use it in a `with`, or `close` it.

    Args:
        url: Its address, without the path of the API.
        token: Credential; "" for nobody.
        transport: For tests.

    Raises:
        ConfigError: The address is none, or would send the token over a network in the clear.
    """

    def __init__(self, url: str, token: str = "", *, transport: "httpx.BaseTransport | None" = None) -> None:
        import ssl

        import httpx

        from dteg import __version__

        self.url = _checked(url, token)
        headers = {"User-Agent": f"dteg/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # What is sent to this machine itself goes through no proxy.
        address = httpx.URL(self.url)
        local = address.host in LOOPBACK
        self.http = httpx.Client(
            base_url=self.url + API,
            headers=headers,
            timeout=httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
            transport=transport,
            trust_env=not local,
            # Nothing is encrypted on the way to http://, and reading the certificates takes 16 ms.
            verify=True if address.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close connections."""
        self.close()

    def close(self) -> None:
        """Close connections."""
        self.http.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON at a path below the API; of the query, what is None or "" is left out.

        Raises:
            DtegError: The same that the library would raise.
        """
        return self._call("GET", path, params=_given(query))

    def items(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield the items of a list, page after page."""
        after: str | None = None
        while True:
            page = self.get(path, **query, after=after)
            yield from page["items"]
            following = page.get("next")
            if not following or following == after:
                return
            after = following

    def post(self, path: str, json: Any = None, **query: Any) -> Any:
        """Send JSON; return that of the answer, None if it has none."""
        return self._call("POST", path, json=json, params=_given(query))

    def put(self, path: str, json: Any = None, **query: Any) -> Any:
        """Put JSON; return that of the answer."""
        return self._call("PUT", path, json=json, params=_given(query))

    def delete(self, path: str, **query: Any) -> Any:
        """Delete; return the JSON of the answer."""
        return self._call("DELETE", path, params=_given(query))

    def upload(self, path: str, file: Path | BinaryIO | Iterable[bytes], **fields: Any) -> Any:
        """Send a file as the body of a POST, read while it is sent; the fields go into the query.

        Args:
            path: Path below the API.
            file: A path, an open file, or its bytes in parts.
            fields: What the route is told.
        """
        with contextlib.ExitStack() as stack:
            content = stack.enter_context(file.open("rb")) if isinstance(file, Path) else file
            headers = {"Content-Type": "application/octet-stream"}
            return self._call("POST", path, content=content, params=_given(fields), headers=headers)

    @contextlib.contextmanager
    def stream(self, path: str, method: str = "GET", **query: Any) -> "Iterator[httpx.Response]":
        """Open an answer that is read in parts: `iter_bytes()`, or `iter_lines()` of an event stream.

        Raises:
            DtegError: The studio refuses, or the connection breaks.
        """
        import httpx

        with self._translated():
            timeout = httpx.Timeout(_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S, read=None)
            with self.http.stream(method, path, params=_given(query), timeout=timeout) as response:
                if not response.is_success:
                    _read(response)
                    raise error_of(response)
                yield response

    def read(self, path: str, **query: Any) -> bytes:
        """Return an answer that is no JSON, such as a picture.

        Raises:
            DtegError: The studio refuses, or the connection breaks.
        """
        with self.stream(path, **query) as answer:
            return answer.read()

    def _call(self, method: str, path: str, **options: Any) -> Any:
        with self._translated(), self.http.stream(method, path, **options) as response:
            _read(response)
        if not response.is_success:
            raise error_of(response)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise DtegError(f"{self.url} answers, but not as a dteg studio does; check the address") from None

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException:
            raise UnavailableError(f"the studio {self.url} does not answer in time") from None
        except httpx.ConnectError:
            raise UnavailableError(
                f"the studio {self.url} cannot be reached; is the address right ({URL_VARIABLE}), and does it run "
                "(dteg studio)?"
            ) from None
        except httpx.TransportError as error:
            raise UnavailableError(f"the studio {self.url} breaks off ({type(error).__name__})") from None


def quoted(part: str) -> str:
    """Return a text as one part of a path."""
    return quote(part, safe="")


def error_of(response: "httpx.Response") -> DtegError:
    """Return the error that an answer means."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "detail" not in problem:
        return DtegError(
            f"{response.url.scheme}://{response.url.netloc.decode()} answers {response.status_code}, but not as a "
            "dteg studio does; check the address"
        )
    detail = str(problem["detail"])
    if response.status_code == 401:
        return DeniedError(
            f"{detail}\nmake a token where the studio runs (dteg studio token create NAME --scope ...) and put it into "
            f"{TOKEN_VARIABLE}",
            authenticate=True,
        )
    lines = [str(each) for each in problem.get("problems") or []]
    return error_for_code(str(problem.get("code")), detail, lines, _wait_s(response))


def token_from_environment(value: str) -> str:
    """Return the token that `DTEG_STUDIO_TOKEN` holds, or refers to with `secret://`."""
    return resolve(value) if value.startswith("secret://") else value.strip()


def _checked(url: str, token: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ConfigError(f"{url!r} is no address of a studio; write it as http://127.0.0.1:8766")
    if token and parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigError(f"the token would go to {parts.hostname} in the clear: use https, or a tunnel")
    return url.rstrip("/")


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None and value != ""}


def _wait_s(response: "httpx.Response") -> float:
    try:
        return min(max(float(response.headers.get("retry-after", "")), 0.1), 86_400.0)
    except ValueError:
        return 5.0


def _read(response: "httpx.Response") -> None:
    """Read an answer, but not one without end."""
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise DtegError(f"{response.url.host} sends more than {MAX_ANSWER_BYTES:,} bytes")
    response._content = bytes(data)  # noqa: SLF001 - what Response.read() does, with a limit

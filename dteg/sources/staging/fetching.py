"""Downloads one file from an address that somebody typed: bounded in size, time and redirects, and not from our own network."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx

from dteg.connectors.http.guard import GuardedBackend, GuardedTransport
from dteg.core.errors import InputError, PermanentError, TransientError
from dteg.core.secrets import redact
from dteg.tables.uploads import plain_name

MAX_REDIRECTS = 5
_CONNECT_S = 10.0
_SILENCE_S = 30.0
_COMPONENT = "source"


@contextlib.contextmanager
def fetched(
    url: str,
    headers: Mapping[str, str],
    folder: Path,
    *,
    max_bytes: int,
    timeout_s: float,
    allowed: Sequence[str] = (),
) -> Iterator[Path]:
    """Download a file, and delete it at the end of the `with`.

    Args:
        url: Its address.
        headers: What is sent with the request, to the server of `url` only.
        folder: Where it lies meanwhile.
        max_bytes: A larger one is refused.
        timeout_s: Longest time, all in all.
        allowed: Hosts and networks that may be reached although they are not of the internet.

    Raises:
        DeniedError: The address leads into a private network.
        InputError: The file is too large or empty.
        TransientError: No answer, or not the whole file.
        PermanentError: The server refuses.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder / f"{time.time_ns():x}"
    place.mkdir(mode=0o700)
    path = place / (_name(url) or "data")
    deadline = time.monotonic() + timeout_s
    try:
        with _answer(url, headers, allowed, deadline, min(_SILENCE_S, timeout_s)) as answer:
            _save(answer, path, url, max_bytes, deadline)
        yield path
    finally:
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()  # unless another download lies there


def answers(url: str, headers: Mapping[str, str], *, timeout_s: float, allowed: Sequence[str] = ()) -> str:
    """Ask for a file without reading it; return what the server calls itself.

    Raises:
        DtegError: As `fetched`.
    """
    with _answer(url, headers, allowed, time.monotonic() + timeout_s, timeout_s) as answer:
        return str(answer.headers.get("server", ""))[:100]


@contextlib.contextmanager
def _answer(
    url: str,
    headers: Mapping[str, str],
    allowed: Sequence[str],
    deadline: float,
    silence_s: float,
) -> Iterator[httpx.Response]:
    """Yield the answer at the end of the redirects, its body not read."""
    trusted = httpx.create_ssl_context()
    timeout = httpx.Timeout(silence_s, connect=min(_CONNECT_S, silence_s))
    transport = GuardedTransport(GuardedBackend(allowed), trusted)
    first = target = httpx.URL(url)
    try:
        with httpx.Client(timeout=timeout, transport=transport, trust_env=False) as client:
            for _ in range(MAX_REDIRECTS + 1):
                if time.monotonic() > deadline:
                    raise TransientError(f"{_shown(url)}: no answer in time", component=_COMPONENT)
                # A packed answer would hide how large it is.
                own = {"accept-encoding": "identity", **(headers if _same_server(first, target) else {})}
                with client.stream("GET", target, headers=own) as response:
                    if response.next_request is None:
                        _check(response, url)
                        yield response
                        return
                    target = _redirected(target, response.next_request.url, url)
    except httpx.TransportError as error:
        raise TransientError(
            f"{_shown(url)}: no answer ({type(error).__name__})", component=_COMPONENT
        ) from None
    except (httpx.InvalidURL, UnicodeEncodeError):
        raise PermanentError(
            f"{_shown(url)}: the address, or one that it leads to, is not valid", component=_COMPONENT
        ) from None
    raise PermanentError(f"{_shown(url)}: more than {MAX_REDIRECTS} redirects", component=_COMPONENT)


def _save(response: httpx.Response, path: Path, url: str, max_bytes: int, deadline: float) -> None:
    said = response.headers.get("content-length", "")
    if said.isdigit() and int(said) > max_bytes:
        raise InputError(_too_large(max_bytes), source=_shown(url))
    size = 0
    with path.open("xb") as file:
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > max_bytes:
                raise InputError(_too_large(max_bytes), source=_shown(url))
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{_shown(url)}: not complete after timeout_s; {size:,} bytes came", component=_COMPONENT
                )
            file.write(chunk)
    if not size:
        raise InputError("the server sends an empty file", source=_shown(url))


def _check(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status == 200:
        return
    message = f"{_shown(url)}: the server answered {status}"
    if status >= 500 or status in (408, 425, 429):
        raise TransientError(message, component=_COMPONENT)
    raise PermanentError(message, component=_COMPONENT)


def _redirected(source: httpx.URL, target: httpx.URL, url: str) -> httpx.URL:
    if target.scheme not in ("http", "https") or (source.scheme, target.scheme) == ("https", "http"):
        raise PermanentError(f"{_shown(url)}: redirected to {target.scheme}://", component=_COMPONENT)
    return target


def _same_server(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _shown(url: str) -> str:
    """Return an address without its query, where a token may stand."""
    return redact(url.split("?", 1)[0])


def _too_large(max_bytes: int) -> str:
    return f"larger than {max_bytes // 1_000_000:,} MB; raise max_mb, or ask for a part of it"


def _name(url: str) -> str:
    try:
        return plain_name(unquote(urlsplit(url).path))
    except InputError:
        return ""

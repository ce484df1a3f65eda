"""Which addresses may be called: a webhook must not make the registry talk to machines that only it can reach.

The address is checked where the connection is made, after the name was resolved, and that very address is connected
to. A name that resolves to something else a moment later (DNS rebinding) gains nothing, and ways of writing an address
(decimal, octal, hexadecimal, shortened) need no rules of their own.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from dteg.core.addresses import Address, is_public
from dteg.core.errors import DeniedError, InputError

__all__ = ["GuardedBackend", "Resolver", "checked_url", "is_public", "resolve"]

Resolver = Callable[[str, int], Awaitable[list[str]]]
MAX_URL = 500
PORTS = frozenset({443, 8443})
_RESOLVE_S = 5.0


def checked_url(url: str, *, allow_private: bool) -> SplitResult:
    """Return the parts of a URL that may be called as far as one can tell without resolving its name.

    Args:
        url: What somebody wants called.
        allow_private: Whether this registry calls anything: also http, any port, and machines of its own network.

    Raises:
        InputError: The URL says what is wrong with it.
    """
    if len(url) > MAX_URL or not url.isascii() or any(ord(each) <= 32 or ord(each) == 127 for each in url):
        raise InputError(
            f"url: at most {MAX_URL} ASCII characters without spaces; write other names in punycode"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InputError("url: this is not a URL") from None
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise InputError("url: it must begin with https://")
    if "@" in parts.netloc or "\\" in url or parts.fragment:
        raise InputError("url: without user name, fragment and backslash")
    host = parts.hostname or ""
    if not host or "%" in host or host.startswith("."):
        raise InputError("url: it names no host")
    if allow_private:
        return parts
    if port not in {None, *PORTS}:
        raise InputError(f"url: only the ports {', '.join(map(str, sorted(PORTS)))} may be called")
    literal = _literal(host)
    name = host.rstrip(".")
    if (
        (literal is not None and not is_public(literal))
        or (literal is None and "." not in name)
        or _local(name)
    ):
        raise InputError(f"url: {host} is not a machine of the internet")
    return parts


def _literal(host: str) -> Address | None:
    """Return the address that a host is, in whatever way it is written; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))  # 2130706433, 0x7f.1, 0177.0.0.1, 127.1
    except OSError:
        return None


def _local(name: str) -> bool:
    return name == "localhost" or name.endswith((".localhost", ".local", ".internal", ".home.arpa", ".lan"))


async def resolve(host: str, port: int) -> list[str]:
    """Return all addresses of a name.

    Raises:
        OSError: There are none.
    """
    async with asyncio.timeout(_RESOLVE_S):
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connections to public addresses only; TLS still checks the certificate for the name.

    Args:
        allow_private: Whether any address may be called.
        resolver: Finds the addresses of a name.
    """

    def __init__(self, *, allow_private: bool, resolver: Resolver = resolve) -> None:
        self._allow_private, self._resolver = allow_private, resolver
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, refuse the name if any of its addresses is not public, and connect to the first that answers.

        Raises:
            DeniedError: An address is not public.
            httpcore.ConnectError: Nothing answers.
        """
        try:
            found = await self._resolver(host, port)
        except (OSError, TimeoutError, UnicodeError):
            raise httpcore.ConnectError("the name has no address") from None
        addresses = [ip_address(each.partition("%")[0]) for each in found]
        if not self._allow_private and not all(is_public(each) for each in addresses):
            raise DeniedError("the name leads to an address that is not of the internet")
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses[:3]:
            try:
                return await self._backend.connect_tcp(
                    str(address), port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )  # fmt: skip
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """Refuse: no webhook is a file."""
        raise DeniedError("sockets of this machine are not called")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

"""Connections to the internet only: what somebody types as an address must not reach machines that only we can reach.

The address is checked where the connection is made, after the name was resolved, and that very address is connected
to. A name that resolves to something else a moment later (DNS rebinding) gains nothing, and ways of writing an address
(decimal, octal, hexadecimal, shortened) need no rules of their own.
"""

import contextlib
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from dteg.core.addresses import Address, is_allowed, is_public, resolve
from dteg.core.errors import DeniedError

Resolver = Callable[[str, int], list[Address]]
_TRIED = 3


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to public addresses, and to those that are allowed; TLS still checks the certificate for the name.

    Args:
        allowed: Hosts and networks that may be reached although they are not of the internet.
        resolver: Finds the addresses of a name.
    """

    def __init__(self, allowed: Sequence[str] = (), resolver: Resolver = resolve) -> None:
        self._allowed, self._resolver = tuple(allowed), resolver
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve once, refuse the name if any of its addresses may not be reached, and connect to one that answers.

        Raises:
            DeniedError: An address is not of the internet.
            httpcore.ConnectError: Nothing answers.
        """
        try:
            addresses = self._resolver(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError(f"the name {host} has no address") from None
        for address in addresses:
            if not is_public(address) and not is_allowed(host, address, self._allowed):
                raise DeniedError(
                    f"{host} is an address of a private network ({address}); if it may be read, allow it in dteg.toml: "
                    f'[sources] private_hosts = ["{host}"]'
                )
        failure: Exception = httpcore.ConnectError(f"the name {host} has no address")
        for address in addresses[:_TRIED]:
            try:
                return self._backend.connect_tcp(
                    str(address), port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )  # fmt: skip
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Refuse: no address that somebody types is a file."""
        raise DeniedError("sockets of this machine are not called")

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class GuardedTransport(httpx.HTTPTransport):
    """httpx's transport over a guarded backend; it goes through no proxy, which would resolve names by itself."""

    def __init__(self, backend: GuardedBackend, verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify, trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=verify, network_backend=backend)


_BACKEND: ContextVar[GuardedBackend | None] = ContextVar("guarded_backend", default=None)


@contextlib.contextmanager
def guarded(allowed: Sequence[str]) -> Iterator[None]:
    """Guard the connections of every HTTP client that a connector makes meanwhile, also if it uses them in a thread."""
    token = _BACKEND.set(GuardedBackend(allowed))
    try:
        yield
    finally:
        _BACKEND.reset(token)


def backend_in_use() -> GuardedBackend | None:
    """Return the backend that clients made now have to use; None: any address may be reached."""
    return _BACKEND.get()

import asyncio
from ipaddress import ip_address

import httpcore
import pytest

from dteg.core.errors import DeniedError, InputError
from registry.webhooks.addresses import GuardedBackend, checked_url, is_public
from registry.webhooks.sender import Sender
from tests.unit.registry.ssrf_corpus import PRIVATE_ADDRESSES, PUBLIC_ADDRESSES, REFUSED_URLS

pytestmark = pytest.mark.unit


class Network(httpcore.AsyncNetworkBackend):
    """Notes what it is asked to connect to, and connects to nothing."""

    def __init__(self):
        self.asked = []

    async def connect_tcp(self, host, port, **_):
        self.asked.append((host, port))
        raise httpcore.ConnectError("no network in this test")


def guarded(answers, *, allow_private=False):
    """Return a backend whose resolver gives these answers, one after the other, and what it asks for."""
    resolved, left = [], list(answers)

    async def resolver(host, port):
        resolved.append(host)
        return left.pop(0)

    backend = GuardedBackend(allow_private=allow_private, resolver=resolver)
    backend._backend = Network()
    return backend, backend._backend.asked, resolved


def connect(backend, host="hooks.example.org"):
    return asyncio.run(backend.connect_tcp(host, 443, timeout=1))


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_an_address_that_is_not_of_the_internet_is_not_connected_to(address):
    assert not is_public(ip_address(address))
    backend, asked, _ = guarded([[address]])
    with pytest.raises(DeniedError):
        connect(backend)
    assert asked == []


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_an_address_of_the_internet_is(address):
    assert is_public(ip_address(address))
    backend, asked, _ = guarded([[address]])
    with pytest.raises(httpcore.ConnectError):
        connect(backend)
    assert asked == [(address, 443)]


def test_one_bad_address_among_good_ones_refuses_the_name():
    backend, asked, _ = guarded([["8.8.8.8", "127.0.0.1", "1.1.1.1"]])
    with pytest.raises(DeniedError):
        connect(backend)
    assert asked == []


def test_a_name_that_changes_its_address_gains_nothing():
    """DNS rebinding: what was checked is connected to; the name is resolved once for each connection."""
    backend, asked, resolved = guarded([["8.8.8.8"], ["127.0.0.1"]])
    with pytest.raises(httpcore.ConnectError):
        connect(backend)
    assert asked == [("8.8.8.8", 443)]
    assert len(resolved) == 1
    with pytest.raises(DeniedError):
        connect(backend)
    assert asked == [("8.8.8.8", 443)]


def test_zones_do_not_hide_an_address():
    backend, asked, _ = guarded([["fe80::1%eth0"]])
    with pytest.raises(DeniedError):
        connect(backend)
    assert asked == []


def test_no_socket_of_this_machine():
    backend, _, _ = guarded([])
    with pytest.raises(DeniedError):
        asyncio.run(backend.connect_unix_socket("/run/docker.sock"))


def test_settings_may_allow_private_addresses():
    backend, asked, _ = guarded([["127.0.0.1"]], allow_private=True)
    with pytest.raises(httpcore.ConnectError):
        connect(backend)
    assert asked == [("127.0.0.1", 443)]


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_urls_that_are_refused_at_once(url):
    with pytest.raises(InputError, match=r"^url: "):
        checked_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/x?y=1", "https://example.org", "https://example.org:443/", "https://example.org:8443/x",
        "https://8.8.8.8/x", "https://[2606:4700::1111]/x", "https://xn--exmple-cua.org/", "https://3com.com/",
        "https://localhost.example.org/x",
    ],
)  # fmt: skip
def test_urls_that_are_not(url):
    assert checked_url(url, allow_private=False).scheme == "https"


def test_a_name_without_address_is_an_error_to_try_again():
    async def resolver(host, port):
        raise OSError("no such name")

    outcome = asyncio.run(
        Sender(allow_private=False, resolver=resolver).post("https://example.org/x", {}, b"{}")
    )
    assert (outcome.status, outcome.error) == (None, "no answer: ConnectError")


def test_what_is_refused_says_so_in_the_log():
    async def resolver(host, port):
        return ["169.254.169.254"]

    sender = Sender(allow_private=False, resolver=resolver)
    outcome = asyncio.run(sender.post("https://example.org/x", {}, b"{}"))
    assert outcome.error == "not called: the name leads to an address that is not of the internet"
    outcome = asyncio.run(sender.post("http://example.org/x", {}, b"{}"))
    assert outcome.error == "not called: url: it must begin with https://"

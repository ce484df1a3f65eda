"""Addresses that somebody types reach machines of the internet only."""

from ipaddress import ip_address

import httpcore
import pytest

from dteg.connectors.http.guard import GuardedBackend, backend_in_use, guarded
from dteg.core.addresses import is_allowed
from dteg.core.errors import DeniedError

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fe80::1",
    "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_names_of_private_addresses_are_refused_before_any_connection(address):
    backend = GuardedBackend(resolver=lambda host, port: [ip_address("93.184.215.14"), ip_address(address)])
    with pytest.raises(DeniedError, match="private_hosts"):
        backend.connect_tcp("innocent.example", 80)


def test_a_name_is_resolved_once_and_that_address_is_connected_to():
    asked = []

    def resolver(host, port):
        asked.append(host)
        return [ip_address("93.184.215.14" if len(asked) == 1 else "127.0.0.1")]

    backend = GuardedBackend(resolver=resolver)
    connected = []

    class Recorder(httpcore.SyncBackend):
        def connect_tcp(self, host, port, **options):
            connected.append(host)
            return httpcore.MockStream([])

    backend._backend = Recorder()
    backend.connect_tcp("rebinding.example", 80)
    assert (asked, connected) == (["rebinding.example"], ["93.184.215.14"])


@pytest.mark.parametrize(
    ("entry", "host", "address", "expected"),
    [
        ("10.1.0.0/16", "x", "10.1.2.3", True), ("10.1.0.0/16", "x", "10.2.2.3", False),
        ("127.0.0.1", "localhost", "127.0.0.1", True), ("intranet.example", "Intranet.example.", "10.0.0.1", True),
        ("intranet.example", "evil.example", "10.0.0.1", False), ("::1", "x", "::1", True), ("10.0.0.0/8", "x", "::1", False),
    ],
)  # fmt: skip
def test_what_a_project_allows(entry, host, address, expected):
    assert is_allowed(host, ip_address(address), [entry]) is expected


def test_sockets_of_this_machine_are_refused():
    with pytest.raises(DeniedError):
        GuardedBackend().connect_unix_socket("/run/docker.sock")


def test_the_guard_ends_with_its_block():
    assert backend_in_use() is None
    with guarded(["10.0.0.0/8"]):
        assert backend_in_use() is not None
    assert backend_in_use() is None

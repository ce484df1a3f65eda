"""Which network addresses belong to the internet, and which lead into a network of our own."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
# IANA's registries of special-purpose addresses, as networks: `ip_address.is_private` of Python differs by release.
# Sources: www.iana.org/assignments/iana-ipv4-special-registry, .../iana-ipv6-special-registry.
_FORBIDDEN_4 = [
    IPv4Network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
# Only this network is given out to machines of the internet, and these parts of it are not.
_GLOBAL_6 = IPv6Network("2000::/3")
_FORBIDDEN_6 = [
    IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3ffe::/16", "3fff::/20")
]


def is_public(address: Address) -> bool:
    """Return whether an address belongs to a machine of the internet that anybody can reach.

    Addresses that carry an IPv4 address inside (mapped, NAT64, 6to4, Teredo) are refused altogether: they lead to
    wherever a gateway of this network translates them to.
    """
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _FORBIDDEN_4)
    return address in _GLOBAL_6 and not any(address in network for network in _FORBIDDEN_6)


def is_allowed(host: str, address: Address, allowed: Iterable[str]) -> bool:
    """Return whether one of some entries names a host or the network that an address is in.

    Args:
        host: As it was asked for.
        address: What it resolves to.
        allowed: Host names, addresses, and networks such as `10.1.0.0/16`.
    """
    for entry in allowed:
        try:
            if address in ip_network(entry, strict=False):
                return True
        except ValueError:
            if entry.lower().rstrip(".") == host.lower().rstrip("."):
                return True
    return False


def resolve(host: str, port: int) -> list[Address]:
    """Return all addresses of a name.

    Raises:
        OSError: It has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(str(each[4][0]).partition("%")[0]) for each in found))

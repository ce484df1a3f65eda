"""Where a request comes from."""

from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection


def address_of(request: HTTPConnection) -> str:
    """Return the client's address, an IPv6 one as its /64, which is what one household has; `unknown` without."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)

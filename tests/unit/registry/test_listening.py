from types import SimpleNamespace

import pytest

from dteg.core.errors import ConfigError
from dteg.webapp.addresses import address_of
from registry.serve import Listening


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_this_machine_needs_no_tls(host):
    Listening(host=host).check()


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "registry.example.org", "127.0.0.1.example.org"]
)
def test_other_hosts_are_refused_without_tls(host, tmp_path):
    with pytest.raises(ConfigError, match="in the clear"):
        Listening(host=host).check()
    Listening(host=host, behind_tls_proxy=True).check()
    pem = tmp_path / "x.pem"
    pem.touch()
    Listening(host=host, tls_cert=pem, tls_key=pem).check()
    with pytest.raises(ConfigError, match="both"):
        Listening(host=host, tls_cert=pem).check()
    with pytest.raises(ConfigError, match="not a file"):
        Listening(host=host, tls_cert=pem, tls_key=tmp_path / "y.pem").check()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("nonsense", "unknown"),
    ],
)
def test_addresses_are_grouped_as_one_household_has_them(host, address):
    assert address_of(SimpleNamespace(client=SimpleNamespace(host=host))) == address


def test_no_client_is_no_crash():
    assert address_of(SimpleNamespace(client=None)) == "unknown"

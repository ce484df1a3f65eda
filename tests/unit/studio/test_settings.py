import pytest

from dteg.core.errors import ConfigError
from studio.settings import StudioSettings, is_loopback


def test_by_default_only_this_machine_gets_in():
    settings = StudioSettings()
    settings.check()
    assert is_loopback(settings.host)
    assert settings.url == "http://127.0.0.1:8766"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org", "10.0.0.1"])
def test_another_address_is_refused_until_somebody_means_it(host):
    with pytest.raises(ConfigError, match="in the clear") as refused:
        StudioSettings(host=host).check()
    assert "--allow-network" in str(refused.value)
    StudioSettings(host=host, allow_network=True).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_addresses_of_this_machine_are_fine(host):
    StudioSettings(host=host).check()


def test_the_address_of_an_ipv6_host_has_brackets():
    assert StudioSettings(host="::1", port=1).url == "http://[::1]:1"


def test_the_names_are_those_of_this_machine_and_the_public_one():
    names = StudioSettings(public_url="https://Data.example.org:8443").host_names
    assert names == {"127.0.0.1", "localhost", "::1", "data.example.org"}


def test_the_environment_is_read_and_what_is_given_wins(monkeypatch):
    monkeypatch.setenv("DTEG_STUDIO_PORT", "1234")
    monkeypatch.setenv("DTEG_STUDIO_BACKGROUND", "false")
    assert StudioSettings.from_environment().port == 1234
    assert StudioSettings.from_environment().background is False
    assert StudioSettings.from_environment(port=99).port == 99


@pytest.mark.parametrize(("name", "value"), [("PORT", "0"), ("PORT", "x"), ("PUBLIC_URL", "ftp://x"), ("PUBLIC_URL", "http://x/y")])  # fmt: skip
def test_a_wrong_variable_is_named(monkeypatch, name, value):
    monkeypatch.setenv(f"DTEG_STUDIO_{name}", value)
    with pytest.raises(ConfigError, match=f"DTEG_STUDIO_{name}"):
        StudioSettings.from_environment()

import pytest

from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.marketplace.credentials import (
    DEFAULT_URL,
    Login,
    find_login,
    forget_login,
    keep_login,
    registry_url,
)

URL = "https://registry.test"


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    for name in ("DTEG_REGISTRY_URL", "DTEG_REGISTRY_TOKEN", "DTEG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config"


def test_a_login_is_kept_for_its_registry_only(config):
    keep_login(URL, Login("secret-1", "ann"))
    keep_login("https://other.test", Login("secret-2"))
    assert find_login(URL) == Login("secret-1", "ann")
    assert (config / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert "secret" not in repr(find_login(URL))
    assert forget_login(URL)
    assert not forget_login(URL)
    assert find_login(URL) is None
    assert find_login("https://other.test") == Login("secret-2")


def test_the_environment_wins(monkeypatch):
    keep_login(URL, Login("kept"))
    monkeypatch.setenv("DTEG_REGISTRY_TOKEN", "given")
    monkeypatch.setenv("DTEG_REGISTRY_URL", f"{URL}/")
    assert find_login(URL) == Login("given")


def test_the_token_of_the_environment_goes_to_its_registry_only(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_REGISTRY_TOKEN", "given")
    (tmp_path / "dteg.toml").write_text('registry = "https://evil.test"\n')
    assert find_login(registry_url()) is None
    assert find_login(DEFAULT_URL) == Login("given")


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}', '{"x": {"login": "a"}}'])
def test_a_damaged_file_is_told(config, text):
    config.mkdir()
    path = config / "credentials.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="dteg login"):
        find_login(URL)


def test_a_file_that_others_can_read_is_refused(config):
    keep_login(URL, Login("secret"))
    (config / "credentials.json").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        find_login(URL)


def test_the_url_comes_from_option_environment_project_or_default(tmp_path, monkeypatch):
    assert registry_url() == DEFAULT_URL
    (tmp_path / "dteg.toml").write_text(f'registry = "{URL}/"\n')
    assert registry_url() == URL
    assert registry_url(project=Project(tmp_path)) == URL
    monkeypatch.setenv("DTEG_REGISTRY_URL", "https://env.test")
    assert registry_url() == "https://env.test"
    assert registry_url("file:///mirror/") == "file:///mirror"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://x", "is not the URL of a registry"),
        ("registry.test", "is not the URL of a registry"),
        ("https://", "is not the URL of a registry"),
        ("https://x:y:z", "is not the URL of a registry"),
        ("http://registry.test", "in the clear"),
        ("https://ann:pw@registry.test", "holds a password"),
        ("file://host/mirror", "file:///absolute/folder"),
        ("file:mirror", "file:///absolute/folder"),
    ],
)
def test_other_urls_are_refused(url, message):
    with pytest.raises(ConfigError, match=message) as caught:
        registry_url(url)
    assert "pw" not in str(caught.value)


def test_a_wrong_dteg_toml_is_told(tmp_path):
    (tmp_path / "dteg.toml").write_text("registry = 1\n")
    with pytest.raises(ConfigError, match="registry is a text"):
        registry_url()
    (tmp_path / "dteg.toml").write_text("registry =\n")
    with pytest.raises(ConfigError, match=r"dteg\.toml cannot be read"):
        registry_url()

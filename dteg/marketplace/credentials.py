"""Which registry, and with which token.

DTEG_REGISTRY_URL, else `registry = "..."` in dteg.toml, else http://127.0.0.1:8765
DTEG_REGISTRY_TOKEN (goes to the registry of DTEG_REGISTRY_URL only), else what `dteg login` kept: one token for each
registry, in a file of mode 0600
"""

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dteg.core.errors import ConfigError, DtegError
from dteg.core.places import config_dir, write_private
from dteg.core.project import Project

URL_VARIABLE = "DTEG_REGISTRY_URL"
TOKEN_VARIABLE = "DTEG_REGISTRY_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_URL = "http://127.0.0.1:8765"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Login:
    """A kept login.

    Attributes:
        token: The secret.
        login: Whose it is; "" if that is not known.
    """

    token: str
    login: str = ""

    def __repr__(self) -> str:
        """Show the name only."""
        return f"Login({self.login!r})"


def registry_url(given: str = "", project: Project | None = None) -> str:
    """Return the registry to use.

    Args:
        given: What the command line said.
        project: Where dteg.toml lies; default: the one of the current folder, if there is one.

    Raises:
        ConfigError: Not a URL, or one that would send the token in the clear.
    """
    url = given or os.environ.get(URL_VARIABLE, "") or _from_project(project) or DEFAULT_URL
    return checked_url(url)


def checked_url(url: str) -> str:
    """Return a URL without the slash at its end.

    Raises:
        ConfigError: Not a URL, or one that would send the token in the clear.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError(f"{url[:100]!r} is not the URL of a registry") from None
    if parts.scheme == "file":
        if host not in ("", "localhost") or not parts.path.startswith("/"):
            raise ConfigError(f"{url[:100]!r}: write a mirror as file:///absolute/folder")
    elif parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"{url[:100]!r} is not the URL of a registry; write https://host or file:///folder")
    elif parts.username or parts.password:
        raise ConfigError("the URL of the registry holds a password; use dteg login")
    elif parts.scheme == "http" and host not in _LOOPBACK:
        raise ConfigError(f"{url} would send tokens over the network in the clear; use https://")
    return url.rstrip("/")


def _from_project(project: Project | None) -> str:
    try:
        path = (project or Project.find()).root / "dteg.toml"
        value = tomllib.loads(path.read_text(encoding="utf-8")).get("registry", "")
    except (DtegError, FileNotFoundError):
        return ""
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"dteg.toml cannot be read: {error}") from None
    if not isinstance(value, str):
        raise ConfigError('dteg.toml: registry is a text: registry = "https://host"')
    return value


def find_login(url: str) -> Login | None:
    """Return the login for a registry, from the environment or as it was kept; None without one.

    The token of the environment goes to the registry of the environment only: the dteg.toml of a project that
    somebody else wrote may name another one.
    """
    if (token := os.environ.get(TOKEN_VARIABLE)) and url == checked_url(
        os.environ.get(URL_VARIABLE) or DEFAULT_URL
    ):
        return Login(token)
    entry = _read().get(url)
    return Login(entry["token"], entry.get("login", "")) if entry else None


def keep_login(url: str, login: Login) -> None:
    """Keep a login for a registry in place of an older one."""
    _write({**_read(), url: {"token": login.token, "login": login.login}})


def forget_login(url: str) -> bool:
    """Forget the login for a registry; return whether there was one."""
    logins = _read()
    found = logins.pop(url, None) is not None
    if found:
        _write(logins)
    return found


def _path() -> Path:
    return config_dir() / "credentials.json"


def _read() -> dict[str, dict[str, str]]:
    path = _path()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise ConfigError(f"{path} cannot be read; delete it and run: dteg login") from None
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(f"others may read {path} (mode {mode:o}): chmod 600 {path}")
    if not isinstance(found, dict) or not all(
        isinstance(each, dict) and isinstance(each.get("token"), str) for each in found.values()
    ):
        raise ConfigError(f"{path} is damaged; delete it and run: dteg login")
    return found


def _write(logins: dict[str, dict[str, str]]) -> None:
    write_private(_path(), json.dumps(logins, indent=1))

"""Where this user's credentials, keys and downloads lie, and how private files are written."""

import os
import secrets
from pathlib import Path

from dteg.core.errors import EnvironmentProblemError

CONFIG_VARIABLE = "DTEG_CONFIG_DIR"
CACHE_VARIABLE = "DTEG_CACHE_DIR"


def config_dir() -> Path:
    """Return the folder of credentials and keys: DTEG_CONFIG_DIR, else `dteg` in the user's configuration."""
    return _place(CONFIG_VARIABLE, "XDG_CONFIG_HOME", ".config")


def cache_dir() -> Path:
    """Return the folder of downloads, which may be deleted: DTEG_CACHE_DIR, else `dteg` in the user's cache."""
    return _place(CACHE_VARIABLE, "XDG_CACHE_HOME", ".cache")


def _place(variable: str, xdg: str, default: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given).expanduser().absolute()
    base = os.environ.get(xdg, "")
    return (Path(base) if base.startswith("/") else Path.home() / default) / "dteg"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read (mode 0600), at once or not at all.

    Raises:
        EnvironmentProblemError: It cannot be written.
    """
    write_whole(path, text.encode(), mode=0o600)


def write_whole(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old one or the new one, also after a crash.

    Raises:
        EnvironmentProblemError: It cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700 if mode == 0o600 else 0o777, parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise EnvironmentProblemError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)

"""Tells the registry what was installed, so that downloads can be told from installations and reviews from rumours.

A receipt holds the component, its version, the versions of dteg, Python and the system's name, and is signed by a key
that this user's dteg made for nothing else. `DTEG_NO_RECEIPTS=1` sends none.
"""

import contextlib
import os
import platform
from collections.abc import Callable, Iterable
from datetime import datetime

from dteg import __version__
from dteg.core.errors import ConfigError, DtegError
from dteg.core.places import config_dir
from dteg.marketplace.client import RegistryClient
from dteg.marketplace.lockfile import LockedComponent
from dteg.receipts import receipt
from dteg.signing import SigningKey

OPT_OUT = "DTEG_NO_RECEIPTS"
_TIMEOUT_S = 3.0


def install_key() -> SigningKey:
    """Return the key of this user's installations, making it when first asked for.

    Raises:
        ConfigError: It is damaged.
    """
    path = config_dir() / "install.pem"
    if not path.exists():
        with contextlib.suppress(ConfigError):  # another process was first
            SigningKey.generate().save(path)
    return SigningKey.load(path)


def share() -> int:
    """Return where this installation stands among all, 0 to 99: part of them gets a release that is rolled out."""
    try:
        return int(install_key().key_id[:8], 16) % 100
    except DtegError:
        return 99


def wanted() -> bool:
    """Return whether receipts are sent."""
    return os.environ.get(OPT_OUT, "") in ("", "0")


def send(
    client: RegistryClient, components: Iterable[LockedComponent], now: Callable[[], datetime], *, removed: bool = False
) -> int:  # fmt: skip
    """Send a receipt for each component; return how many arrived. A registry that fails is no failure of the install.

    Args:
        client: The registry.
        components: What was installed or removed.
        now: The time.
        removed: Whether they were removed.
    """
    sent = 0
    if not wanted():
        return sent
    environment = {
        "dteg": __version__,
        "python": platform.python_version(),
        "system": platform.system().lower(),
    }
    with contextlib.suppress(DtegError):
        key = install_key()
        for each in components:
            body = receipt(
                key, component=each.id, version=each.version, sha256=each.sha256, at=now(), environment=environment,
                removed=removed,
            )  # fmt: skip
            client.call("POST", "/installs", json=body, timeout=_TIMEOUT_S)
            sent += 1
    return sent

"""What a studio is told by its environment."""

import os
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError

PREFIX = "DTEG_STUDIO_"
DEFAULT_PORT = 8766


class StudioSettings(ConfigModel):
    """Settings of one studio; each is the environment variable `DTEG_STUDIO_<NAME>`."""

    host: str = Field("127.0.0.1", min_length=1, max_length=255, description="Address to listen on.")
    port: int = Field(DEFAULT_PORT, ge=1, le=65535, description="Port to listen on.")
    public_url: str = Field(
        "", pattern=r"^(https?://[^/\s]+)?$", description="How users reach it; default: host and port."
    )
    allow_network: bool = Field(
        False, description="Whether it may listen on an address that other machines reach."
    )
    max_body_mb: int = Field(1, gt=0, le=64, description="Largest request that is no file, in MB.")
    max_upload_mb: int = Field(100_000, gt=0, description="Largest file, in MB.")
    request_timeout_s: float = Field(60.0, gt=0, description="Time until an answer begins.")
    long_request_timeout_s: float = Field(
        3600.0, gt=0, description="The same for files and for work such as a backup."
    )
    background: bool = Field(
        True, description="Whether this process also works in the background: listens, delivers, sweeps."
    )

    @property
    def url(self) -> str:
        """How users reach it."""
        if self.public_url:
            return self.public_url
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not listened on
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def host_names(self) -> frozenset[str]:
        """The names in a request's `Host` that mean us; another one is the trick of a page elsewhere."""
        names = {"127.0.0.1", "localhost", "::1", self.host, urlsplit(self.url).hostname or ""}
        return frozenset(name.lower() for name in names)

    def check(self) -> None:
        """Refuse to be reachable by accident.

        Raises:
            ConfigError: The address is open to other machines, and nobody said that this is meant.
        """
        if not is_loopback(self.host) and not self.allow_network:
            raise ConfigError(
                f"--host {self.host} would let other machines in: everybody who can reach it may try to log in, and "
                "tokens and data cross the network in the clear. Better: keep 127.0.0.1 and use an SSH tunnel "
                "(ssh -L 8766:127.0.0.1:8766 HOST) or a proxy that speaks TLS. If you mean it, add --allow-network"
            )

    @classmethod
    def from_environment(cls, **given: object) -> Self:
        """Read the variables; what is given explicitly wins.

        Raises:
            ConfigError: A variable is wrong; the message names it.
        """
        values = {
            name: os.environ[PREFIX + name.upper()]
            for name in cls.model_fields
            if os.environ.get(PREFIX + name.upper()) and name != "url"
        }
        try:
            return cls.model_validate({**values, **given})
        except ValidationError as error:
            lines = [f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
            raise ConfigError("\n".join(lines)) from None


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

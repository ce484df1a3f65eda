"""What a registry is told by its environment."""

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from dteg.core.config import ConfigModel, Secret
from dteg.core.errors import ConfigError

PREFIX = "DTEG_REGISTRY_"
MONGODB_VARIABLE = "DTEG_MONGODB_URL"


class RegistrySettings(ConfigModel):
    """Settings of one registry; each is the environment variable `DTEG_REGISTRY_<NAME>` unless said otherwise."""

    mongodb_url: Secret = Field(description="MongoDB 6 or newer. Environment: DTEG_MONGODB_URL.")
    database: str = Field("dteg_registry", pattern=r"^\w{1,38}$", description="Database in that server.")
    data_dir: Path = Field(
        description="Folder of keys, blobs and the gates' environments; readable by its owner only."
    )
    blob_url: str = Field(
        "",
        pattern=r"^((s3|gs|az)://\S+)?$",
        description="Object store of the files; default: a folder in data_dir.",
    )
    public_url: str = Field(
        "http://127.0.0.1:8765", pattern=r"^https?://[^/\s]+$", description="How users reach this registry."
    )
    access_token_s: int = Field(900, gt=0, le=3600, description="Life of a login token, in seconds.")
    open_accounts: bool = Field(True, description="Whether anybody may make an account.")
    requests_per_minute: int = Field(
        600, gt=0, description="Limit per token or address; files and index are free."
    )
    requests_per_minute_unknown: int = Field(
        120, gt=0, description="Limit per address for those who are not logged in."
    )
    wrong_credentials_per_minute: int = Field(
        30, gt=0, description="How often an address may send tokens that are not good."
    )
    max_body_mb: int = Field(1, gt=0, le=64, description="Largest request, in MB; an upload may have 11.")
    request_timeout_s: float = Field(
        60.0, gt=0, description="Time until an answer begins; uploads have twice that."
    )
    gate_workers: int = Field(
        1, ge=0, le=16, description="Gate runs at a time beside the server; 0: a worker elsewhere."
    )

    review_after_days: int = Field(
        7, ge=0, le=365, description="How long somebody must have had a component installed to review it."
    )
    private_webhooks: bool = Field(
        False, description="Whether webhooks may call machines that are not of the internet, and plain http."
    )
    mail_url: Secret | None = Field(
        None,
        description="Mail server, as Apprise writes it: mailtos://user:password@host?from=ADDRESS. Default: no mails.",
    )
    payments: Literal["none", "test"] = Field(
        "none", description="Who takes payments: nobody, or a provider that moves no money, for trying out."
    )

    @classmethod
    def from_environment(cls, **given: object) -> Self:
        """Read the variables; what is given explicitly wins.

        Raises:
            ConfigError: A variable is missing or wrong; the message names it.
        """
        from pydantic import ValidationError

        values = {
            name: os.environ[PREFIX + name.upper()]
            for name in cls.model_fields
            if PREFIX + name.upper() in os.environ
        }
        if os.environ.get(MONGODB_VARIABLE):
            values["mongodb_url"] = f"secret://env/{MONGODB_VARIABLE}"
        if values.get("mail_url", "").startswith(("mailto://", "mailtos://")):
            values["mail_url"] = f"secret://env/{PREFIX}MAIL_URL"  # the address itself, not a reference to it
        try:
            return cls.model_validate({**values, **given})
        except ValidationError as error:
            lines = [f"{_variable(str(each['loc'][0]))}: {each['msg']}" for each in error.errors()]
            raise ConfigError("\n".join(lines)) from None


def _variable(field: str) -> str:
    return MONGODB_VARIABLE if field == "mongodb_url" else PREFIX + field.upper()

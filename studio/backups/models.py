"""What requests about backups hold."""

from pydantic import Field, model_validator

from dteg.backups.models import Keep, check_reference
from dteg.core.config import ConfigModel, ConnectionUrl


class VerifyRequest(ConfigModel):
    """How a backup is verified."""

    restore: bool = Field(False, description="Also restore it, compare every row, and drop that again.")
    source: str = Field("", max_length=1000, description="Where it lies; default: what the catalogue says.")
    key: str = Field("", max_length=500, description="What opens it, as a secret reference.")
    server: ConnectionUrl | None = Field(
        None, description="Where to restore it; default: where it came from."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_server(cls, values: object) -> object:
        return (
            {k: v for k, v in values.items() if (k, v) != ("server", "")}
            if isinstance(values, dict)
            else values
        )

    @model_validator(mode="after")
    def _clean(self) -> "VerifyRequest":
        check_reference(self.key)
        return self


class RebuildRequest(ConfigModel):
    """Whose manifests are read into the catalogue."""

    target: str = Field("", max_length=1000, description="URI of the target; default: the project's place.")


class PruneRequest(ConfigModel):
    """Which backups go."""

    keep: Keep = Field(Keep(), description="How many of each age stay.")
    database: str = Field("", max_length=200, description="Of this database only.")
    dry_run: bool = Field(True, description="Only say what would go.")


class PublicKey(ConfigModel):
    """What others need to trust these backups."""

    public_key: str = Field(description="Ed25519, 32 bytes in base64; empty before the first backup.")

"""The component standard: what a `dteg.yaml` says about a connector."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.yaml import load_model

ComponentKind = Literal["extractor", "processor", "loader", "transformer"]
MANIFEST_NAME = "dteg.yaml"


class ManifestCapabilities(ConfigModel):
    """What a component needs from the machine."""

    network: bool = Field(False, description="Opens connections.")
    filesystem: bool = Field(False, description="Reads or writes files.")
    subprocess: bool = Field(False, description="Starts programs.")
    native: bool = Field(False, description="Brings compiled code.")


class Manifest(ConfigModel):
    """One component, as it is found, listed and published."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{1,62}$", description="Name used as `type:` in pipelines.")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+", description="Semantic version.")
    kind: ComponentKind = Field(description="What it does in a pipeline.")
    entry_point: str = Field(
        pattern=r"^\w+:\w+$", description="`module:Class` inside the component's folder."
    )
    author: str = Field(description="Person or team.")
    description: str = Field(min_length=10, description="One sentence.")
    category: str = Field(description="Shelf in the marketplace.")
    licence: str = Field("Apache-2.0", description="SPDX identifier.")
    framework_versions: str = Field(">=0.1,<1", description="Versions of dteg it works with.")
    python_versions: str = Field(">=3.11", description="Versions of Python it works with.")
    dependencies: list[str] = Field([], description="Python requirements beyond dteg itself.")
    capabilities: ManifestCapabilities = Field(
        ManifestCapabilities(), description="What it needs from the machine."
    )


def read_manifest(path: Path) -> Manifest:
    """Read one `dteg.yaml`.

    Raises:
        ConfigError: With file, line and remedy.
    """
    return load_model(path, Manifest)

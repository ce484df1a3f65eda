"""The component standard: what a `dteg.yaml` says about a connector.

One model for everybody: discovery, `dteg test`, `dteg publish` and the registry read it, and its JSON Schema is
published. Everything that people would otherwise write twice (the config schema, the sections of the documentation)
is taken from the code and the README, not from here.
"""

import re
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.yaml import load_model

ComponentKind = Literal["extractor", "processor", "loader", "transformer"]
ComponentForm = Literal["code", "declarative", "template"]
CATEGORIES = (
    "ai",
    "api",
    "cloud",
    "databases",
    "files",
    "messaging",
    "processors",
    "quality",
    "saas",
    "storage",
    "other",
)
MANIFEST_NAME = "dteg.yaml"
MANIFEST_VERSION = 1
INTERFACE_VERSION = 1
DOCUMENTATION_SECTIONS = ("overview", "configuration", "example", "troubleshooting")
REQUIRED_GATES = ("structure", "security", "conformance", "documentation", "performance")

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(rc[1-9]\d*)?")
NAMESPACE_PATTERN = r"[a-z][a-z0-9]{1,38}"


# Patterns, not `packaging`: discovery reads every manifest at each start.
_CLAUSE = r"\s*(===?|~=|!=|<=?|>=?)\s*\d[\w.*+!-]*\s*"
_RANGE = rf"{_CLAUSE}(,{_CLAUSE})*"

VersionRange = Annotated[str, Field(pattern=rf"^{_RANGE}$")]
PythonRequirement = Annotated[
    str, Field(pattern=rf"^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?(\[[\w, .-]+\])?({_RANGE})?(\s*;[^@]+)?$")
]


class ManifestCapabilities(ConfigModel):
    """What a component needs from the machine; what is not declared is refused by the gates."""

    network: bool = Field(False, description="Opens connections.")
    filesystem: bool = Field(False, description="Reads or writes files.")
    subprocess: bool = Field(False, description="Starts programs.")
    native: bool = Field(False, description="Brings compiled code.")

    def names(self) -> frozenset[str]:
        """Return the names of what is declared."""
        return frozenset(name for name, wanted in self if wanted)


class Pricing(ConfigModel):
    """What a component costs."""

    model: Literal["free", "premium", "enterprise", "usage"] = Field(
        "free", description="Free; one price; a licence per organisation; or by metered use."
    )
    amount_minor: int = Field(0, ge=0, description="Price in minor units of the currency, such as cents.")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code.")
    per: Literal["once", "month", "year", "million_rows"] = Field(
        "once", description="What the amount is for."
    )
    licence_url: str = Field("", description="Where the terms are.")


class Waiver(ConfigModel):
    """A finding of the security gate that the author explains instead of repairing; shown to everybody."""

    rule: str = Field(description="The rule's id, such as B310.")
    file: str = Field(description="Path inside the component.")
    reason: str = Field(min_length=20, description="Why it is safe here.")
    expires: date = Field(description="Day after which the waiver no longer holds.")


class Resources(ConfigModel):
    """What one run needs at most."""

    memory_mb: int = Field(512, gt=0, le=16_384, description="Resident memory in MB.")


class BreakingChange(ConfigModel):
    """Something that users must change when they move to a version."""

    version: str = Field(pattern=rf"^{_VERSION.pattern}$", description="Version that brought it.")
    change: str = Field(min_length=10, description="What changed and what to do.")


class Manifest(ConfigModel):
    """One component, as it is found, listed and published."""

    manifest_version: Literal[1] = Field(1, description="Version of this format.")
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{1,62}$", description="Name used as `type:` in pipelines.")
    namespace: str = Field(
        "", pattern=rf"^({NAMESPACE_PATTERN})?$", description="Whose it is in the marketplace."
    )
    version: str = Field(
        pattern=rf"^{_VERSION.pattern}$",
        description="X.Y.Z, or X.Y.ZrcN before a release; the rest is neither semver nor PEP 440.",
    )
    kind: ComponentKind = Field(description="What it does in a pipeline.")
    interface: Literal[1] = Field(1, description="Version of the contract between dteg and its connectors.")
    form: ComponentForm = Field("code", description="Python code, only data files, or a template to copy.")
    entry_point: str = Field(
        "", pattern=r"^(\w+:\w+)?$", description="`module:Class` inside the component's folder."
    )
    author: str = Field(min_length=1, description="Person or team.")
    description: str = Field(min_length=10, max_length=200, description="One sentence.")
    category: str = Field(
        pattern=r"^[a-z][a-z-]{0,29}$", description=f"Shelf in the marketplace: {', '.join(CATEGORIES)}."
    )
    tags: list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,29}$")]] = Field(
        [], max_length=10, description="More words it is found by."
    )
    licence: str = Field("Apache-2.0", description="SPDX identifier.")
    pricing: Pricing = Field(Pricing(), description="What it costs.")
    homepage: str = Field("", pattern=r"^(https://\S+)?$", description="Where it is developed.")
    framework_versions: VersionRange = Field(">=0.1,<1", description="Versions of dteg it works with.")
    python_versions: VersionRange = Field(">=3.11", description="Versions of Python it works with.")
    system_requirements: list[str] = Field(
        [], description="Programs and libraries that pip cannot install, such as `unixodbc`."
    )
    dependencies: list[PythonRequirement] = Field([], description="Python requirements beyond dteg itself.")
    capabilities: ManifestCapabilities = Field(
        ManifestCapabilities(), description="What it needs from the machine."
    )
    resources: Resources = Field(Resources(), description="What one run needs at most.")
    waivers: list[Waiver] = Field([], description="Findings of the security gate, explained.")
    replaces: list[str] = Field(
        [], description="`namespace/name` of components that this one takes the place of."
    )
    breaking_changes: list[BreakingChange] = Field([], description="What users must change, by version.")

    @cached_property
    def slug(self) -> str:
        """The name in the marketplace, unique in its namespace: `kafka-extractor`."""
        return f"{self.name.replace('_', '-')}-{self.kind}"

    @cached_property
    def distribution(self) -> str:
        """The name of its Python package: `dteg-streaming-kafka-extractor`."""
        return f"dteg-{self.namespace}-{self.slug}"

    @cached_property
    def package(self) -> str:
        """The dotted import package: `dteg_components.streaming.kafka_extractor`."""
        return f"dteg_components.{self.namespace}.{self.slug.replace('-', '_')}"


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of a manifest, as it is published."""
    schema = Manifest.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "dteg component"}


def read_manifest(path: Path) -> Manifest:
    """Read one `dteg.yaml`.

    Raises:
        ConfigError: With file, line and remedy.
    """
    return load_model(path, Manifest)

"""What a registry says of components and releases. Unknown keys are ignored, so that newer registries can be read.

Everything here comes from another machine: names become paths and versions are compared, so both are checked.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dteg.manifest import BreakingChange, Manifest

COMPONENT_PATTERN = r"^[a-z][a-z0-9]{1,38}/[a-z][a-z0-9]*(-[a-z0-9]+)*$"
VERSION_PATTERN = r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}(rc[0-9]{1,9})?$"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
State = Literal["pending", "testing", "listed", "rejected", "yanked", "quarantined", "removed"]
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """Return text from elsewhere without characters that steer a terminal."""
    return _CONTROL.sub("", str(text))


Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else plain(value))]


class Record(BaseModel):
    """Base of the answers."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Cell(Record):
    """One proven combination: whether the component passed its tests under it."""

    dteg: str
    python: str
    status: str


class Rollout(Record):
    """How far a release has been rolled out.

    Attributes:
        percent: Share of installations that may take it.
        halted: Nobody new takes it; who has it keeps it.
    """

    percent: int = 100
    halted: bool = False


class Release(Record):
    """One version of a component.

    Attributes:
        manifest: Its dteg.yaml.
        score: 0 to 100, from the gates.
        compatibility: Proven combinations.
    """

    component: str = Field(pattern=COMPONENT_PATTERN, max_length=140)
    version: str = Field(pattern=VERSION_PATTERN)
    state: State
    reason: Text = ""
    filename: str = Field("", pattern=r"^([A-Za-z0-9][A-Za-z0-9._+-]{0,250}\.whl)?$")
    sha256: Sha256
    size: int = Field(ge=0)
    manifest: Manifest
    published_at: datetime | None = None
    published_by: Text = ""
    gates: dict[str, str] = {}
    score: float | None = None
    trust: str = ""
    key_id: str = ""
    changelog: Text = ""
    breaking_changes: list[BreakingChange] = []
    compatibility: list[Cell] = []
    rollout: Rollout = Rollout()

    @property
    def id(self) -> str:
        """`namespace/slug@version`."""
        return f"{self.component}@{self.version}"


class Rating(Record):
    """Stars."""

    count: int = 0
    mean: float | None = None
    adjusted: float | None = None


class Component(Record):
    """A component as lists show it."""

    id: str = Field(pattern=COMPONENT_PATTERN, max_length=140)
    name: Text = ""
    kind: Text = ""
    category: Text = ""
    summary: Text = ""
    tags: list[Text] = []
    latest: dict[str, str | None] = {}
    status: Text = "active"
    deprecation: dict[str, Any] | None = None
    rating: Rating = Rating()
    downloads: dict[str, Any] = {}
    score: float | None = None
    tier: Text = ""
    verified: bool = False

    @property
    def newest(self) -> str:
        """The newest release, else the newest candidate, else nothing."""
        return plain(self.latest.get("stable") or self.latest.get("rc") or "")


class Key(Record):
    """A public key of a publisher or registry.

    Attributes:
        from_at: Good from then on.
        to_at: Good until then; None: still good.
    """

    key_id: str = Field(pattern=r"^[0-9a-f]{64}$")
    public_key: str = Field(max_length=100)
    name: Text = ""
    from_at: datetime | None = None
    to_at: datetime | None = None

    def good_at(self, moment: datetime | None) -> bool:
        """Return whether a signature of that moment counts; without a moment only keys that are still good.

        The registry checks the beginning when it takes a release in; what counts here is that a key ended before.
        """
        return self.to_at is None or (moment is not None and moment < self.to_at)

"""Releases: what is stored, the states they go through, and what clients send and get."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from dteg.manifest import BreakingChange, Manifest
from registry.documents import Answer, Body, Document, Text

MAX_REASON = 500


class State(StrEnum):
    """Where a release is in its life."""

    PENDING = "pending"
    TESTING = "testing"
    LISTED = "listed"
    REJECTED = "rejected"
    YANKED = "yanked"
    QUARANTINED = "quarantined"
    REMOVED = "removed"


# What may follow what. Everything else is refused, whoever asks.
MOVES = frozenset(
    {
        (State.PENDING, State.TESTING),
        (State.TESTING, State.LISTED),
        (State.TESTING, State.REJECTED),
        (State.LISTED, State.YANKED),
        (State.YANKED, State.LISTED),
        (State.LISTED, State.QUARANTINED),
        (State.YANKED, State.QUARANTINED),
        (State.QUARANTINED, State.LISTED),
        (State.QUARANTINED, State.YANKED),
        (State.QUARANTINED, State.REMOVED),
        (State.REJECTED, State.PENDING),  # the same file, tested again
    }
)
INSTALLABLE = frozenset({State.LISTED, State.YANKED})
UNPROVEN = frozenset({State.PENDING, State.TESTING})


class Rollout(BaseModel):
    """How far a release has been rolled out.

    Attributes:
        percent: Share of the installations that may take it.
        halted: Nobody new takes it; who has it keeps it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    percent: int = 100
    halted: bool = False

    @property
    def complete(self) -> bool:
        """Whether everybody may take it."""
        return self.percent == 100 and not self.halted

    @property
    def text(self) -> str:
        """What it says to people; "" when it is complete."""
        return (
            "the rollout was halted"
            if self.halted
            else ""
            if self.complete
            else f"rolled out to {self.percent} %"
        )


class Outline(Document):
    """What lists of releases show of one, without what makes most of its document; its id is `namespace/slug@version`.

    Attributes:
        component: `namespace/slug`.
        version: Version.
        ver_key: The same as a text that sorts as versions do.
        state: See `State`.
        reason: Why it is in its state.
        size: Bytes of the wheel.
        published_at: When.
        updated_at: When the state changed last.
        score: 0 to 100, from the gates.
        rollout: How far it has been rolled out.
    """

    component: str
    version: str
    ver_key: str
    state: State = State.PENDING
    reason: str = ""
    size: int
    published_at: datetime
    updated_at: datetime
    score: int | None = None
    rollout: Rollout = Rollout()


class Release(Outline):
    """One version of a component, whole.

    Attributes:
        state_before: While quarantined: what it was.
        moves: How often its state has changed: names the change in the public log.
        settled: Whether log, component and webhooks know of the last change.
        distribution: Name of the Python package.
        filename: Name of the wheel.
        sha256: Hash of the wheel.
        metadata_sha256: Hash of its METADATA, stored as a file of its own.
        manifest: Its dteg.yaml.
        config_schema: JSON Schema of its config, as JSON text: MongoDB takes no `$` in keys everywhere.
        changelog: CHANGELOG.md of the component.
        published_by: Account.
        key_id: Publisher's key that signed it.
        gates: Result of each gate.
        ruleset: Rules that it passed last.
        attestation: Digest of the registry's statement about the gates.
    """

    state_before: State | None = None
    moves: int = 0
    settled: bool = False
    distribution: str
    filename: str
    sha256: str
    metadata_sha256: str
    manifest: dict[str, Any]
    config_schema: str
    changelog: str = ""
    published_by: str
    key_id: str
    gates: dict[str, str] = Field(default={})
    ruleset: str = ""
    attestation: str | None = None

    @property
    def contents(self) -> Manifest:
        """The manifest as a model."""
        return Manifest.model_validate(self.manifest)

    @property
    def namespace(self) -> str:
        """Namespace of the component."""
        return self.component.partition("/")[0]

    @property
    def trust(self) -> str:
        """`attested` when the registry has proved it, else `signed` by its publisher."""
        return "attested" if self.attestation else "signed"

    @property
    def free(self) -> bool:
        """Whether anybody may download it."""
        return str(self.manifest.get("pricing", {}).get("model", "free")) == "free"


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file as an index of packages lists it; each process holds all of them, so it is small.

    Attributes:
        component: `namespace/slug`.
        distribution: Name of the Python package.
        version: Version.
        filename: Name of the wheel.
        sha256: Hash of the wheel.
        size: Bytes.
        metadata_sha256: Hash of its METADATA.
        requires_python: Versions of Python, as a range.
        published_at: When.
        yanked: Why only who names this very version gets it; None when everybody may.
        free: Whether anybody may download it.
    """

    component: str
    distribution: str
    version: str
    filename: str
    sha256: str
    size: int
    metadata_sha256: str
    requires_python: str
    published_at: datetime
    yanked: str | None
    free: bool


class Claim(Document):
    """The name of a file, taken for ever; its id is the name, which is what makes releases immutable.

    Attributes:
        sha256: Hash of the wheel.
        blobs: Hashes of all files that belong to it.
        release: Id of the release.
        done: Whether the publish went through; else `pending` holds what is needed to finish it.
        pending: The release and the publisher's envelope.
        at: When.
    """

    sha256: str
    blobs: list[str]
    release: str
    done: bool = False
    pending: dict[str, Any] | None = None
    at: datetime


class Reason(Body):
    """Why."""

    reason: Annotated[Text, Field(min_length=3, max_length=MAX_REASON)] = Field(
        description="Shown to everybody who has it installed."
    )


class NewRollout(Body):
    """How far a release may go: a percentage of installations, or halted."""

    percent: int | None = Field(None, ge=0, le=100, description="Share of installations that may take it.")
    halted: bool | None = Field(None, description="Nobody new takes it; who has it keeps it.")


class Accepted(Answer):
    """A release that was taken in and waits for its gates."""

    id: str
    component: str
    version: str
    state: State
    sha256: str
    url: str


class CellAnswer(Answer):
    """Whether a release passed its tests under one version of dteg and Python."""

    dteg: str
    python: str
    status: str
    at: datetime


class ReleaseAnswer(Answer):
    """A release as everybody sees it."""

    id: str
    component: str
    version: str
    state: State
    reason: str
    filename: str
    sha256: str
    size: int
    url: str
    manifest: Manifest
    published_at: datetime
    published_by: str
    updated_at: datetime
    gates: dict[str, str]
    score: int | None
    trust: str
    key_id: str
    attestation: str | None
    capabilities: list[str]
    dependencies: list[str]
    changelog: str
    breaking_changes: list[BreakingChange]
    rollout: Rollout
    compatibility: list[CellAnswer]

"""Runs of the gates over one release, and under which versions it was proved to work."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from registry.documents import Answer, Document
from registry.releases.models import State

MAX_LOG = 65_536


class RunKind(StrEnum):
    """Why the gates are run."""

    LISTING = "gates"
    RESCAN = "rescan"
    CELL = "cell"


class CellStatus(StrEnum):
    """Whether a release works in one environment: what search and pages count, and clients resolve by."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, gate: str) -> "CellStatus":
        """Return it from the status of a gate."""
        return {"passed": cls.PASS, "failed": cls.FAIL}.get(gate, cls.UNKNOWN)


class GateRun(Document):
    """One run; its id names release and occasion, so that the same work has one result.

    Attributes:
        release: `namespace/slug@version`.
        kind: Why.
        attempt: Grows with each worker that begins it; who has an older number changes nothing any more.
        starts: How often it was begun.
        worker: Who began it last.
        results: What each gate found, by name, with its place in the order as `n`.
        report: Rules, environment, score; None until it ended.
        started_at: When it was begun last.
        ended_at: When it ended.
    """

    release: str
    kind: RunKind
    attempt: int
    starts: int = 1
    worker: str = ""
    results: dict[str, dict[str, Any]] = Field(default={})
    report: dict[str, Any] | None = None
    started_at: datetime
    ended_at: datetime | None = None

    def in_order(self) -> list[dict[str, Any]]:
        """Return the results in the order in which the gates ran."""
        found = sorted(self.results.values(), key=lambda result: result["n"])
        return [{key: value for key, value in result.items() if key != "n"} for result in found]


class Cell(Document):
    """Whether one release passed its tests under one version of dteg and Python; its id is all three."""

    release: str
    component: str
    dteg: str
    python: str
    status: CellStatus
    at: datetime


class Progress(Answer):
    """How far the gates of a release are.

    Attributes:
        state: Of the release; the gates are over when it is neither `pending` nor `testing`.
        reason: Why it is in its state.
        results: What further gates found, as `GateResult` of `dteg.gates`.
        next: Give this as `after` to wait for more.
        score: 0 to 100, when the gates are over.
    """

    state: State
    reason: str
    results: list[dict[str, Any]]
    next: int
    score: int | None = None

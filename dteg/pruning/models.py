"""What goes into and comes out of pruning."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from dteg.core.config import ConfigModel
from dteg.core.durations import parse_duration


def check_age(text: str) -> str:
    """Return an age such as `30d` as it is.

    Raises:
        ValueError: It is none, or nothing would be young enough to stay.
    """
    if parse_duration(text).total_seconds() < 1:
        raise ValueError(f"{text!r} would remove everything; write an age such as 30d")
    return text


AgeText = Annotated[str, AfterValidator(check_age)]
"""A duration such as `30d`, not of nothing."""


class PruneOrder(ConfigModel):
    """What shall go."""

    older_than: AgeText = Field("30d", description="What is older goes: a number and s, m, h, d or w.")
    dry_run: bool = Field(False, description="Only count.")


class PruneReport(ConfigModel):
    """What went, or in a dry run what would."""

    dry_run: bool = Field(description="Whether nothing was removed.")
    before: datetime = Field(description="What is older than this went, UTC.")
    runs: int = Field(description="Runs, with their events.")
    runs_kept: int = Field(
        description="Old runs that stay: unfinished, last of their job, or with the latest event of an asset."
    )
    events: int = Field(description="Events.")
    checks: int = Field(description="Evaluations of checks.")
    ticks: int = Field(description="Ticks of schedules and sensors.")
    evaluations: int = Field(description="Evaluations of automation conditions.")
    bytes_before: int = Field(description="Size of the SQLite files before; 0 where storage is a server.")
    bytes_after: int = Field(description="Their size afterwards.")
    compacted: bool = Field(True, description="Whether the SQLite files gave their room back.")
    seconds: float = Field(description="How long it took.")

    @property
    def summary(self) -> str:
        """One line for people."""
        word = "would remove" if self.dry_run else "removed"
        return (
            f"{word} {self.runs:,} runs, {self.events:,} events, {self.checks:,} check evaluations and "
            f"{self.ticks:,} ticks older than {self.before:%Y-%m-%d %H:%M} UTC"
        )

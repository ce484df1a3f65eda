"""What alerts are about."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from dteg.core.clock import utc_now
from dteg.core.config import ConfigModel


class Kind(StrEnum):
    """What something happened to."""

    RUN = "run"
    CHECK = "check"
    FRESHNESS = "freshness"
    SCHEMA_CHANGE = "schema_change"
    BACKUP = "backup"
    CRON = "cron"
    TOPIC = "topic"


class State(StrEnum):
    """Whether something is wrong, or no longer, or merely happened."""

    FIRING = "firing"
    """It goes on until it is resolved: a check that fails, a backup that is missing."""
    RESOLVED = "resolved"
    """It is over, or went well: a check that passes, a run that succeeded."""
    EVENT = "event"
    """It happened and is not going on: a column was dropped."""


class Severity(StrEnum):
    """How much somebody should care."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its place, from 0 for what nobody needs to hear."""
        return list(Severity).index(self)


class Occurrence(ConfigModel):
    """One thing that happened and that somebody may want to know."""

    kind: Kind = Field(description="What it happened to.")
    subject: str = Field(min_length=1, max_length=500, description="Which one, such as a pipeline's name.")
    message: str = Field(max_length=10_000, description="What people read; holds no secrets and no rows.")
    state: State = Field(State.FIRING, description="Whether something is wrong, or no longer.")
    severity: Severity = Field(Severity.ERROR, description="How much somebody should care.")
    at: datetime = Field(default_factory=utc_now, description="When it happened, UTC.")
    details: dict[str, Any] = Field({}, description="What programs read; rules may compare it.")
    dedupe_key: str = Field(
        "",
        max_length=500,
        description="Occurrences of one key are one matter: told once until resolved. Default: kind and subject.",
    )

    @property
    def matter(self) -> str:
        """The key of what this is one more sign of."""
        return self.dedupe_key or f"{self.kind}:{self.subject}"


class Matter(ConfigModel):
    """What is known of one thing that a rule is about."""

    rule: str = Field(description="Rule that told it.")
    matter: str = Field(description="What its occurrences have in common.")
    kind: Kind = Field(description="What it happened to.")
    subject: str = Field(description="Which one.")
    severity: Severity = Field(description="Greatest severity since it began.")
    message: str = Field(description="Message of the last occurrence.")
    details: dict[str, Any] = Field({}, description="Details of the last occurrence.")
    occurrences: int = Field(description="How often it happened since it began.")
    first_at: datetime = Field(description="When it began, UTC.")
    last_at: datetime = Field(description="When it happened last, UTC.")
    told_at: datetime | None = Field(
        description="From when on channels get the last telling, UTC; in quiet hours it is when they end."
    )
    first_told_at: datetime | None = Field(None, description="The same of the first telling since it began.")
    level: int = Field(0, description="Steps of the escalation that were taken.")
    acknowledged_at: datetime | None = Field(None, description="When somebody said that they take care, UTC.")
    acknowledged_by: str | None = Field(None, description="Who said so.")
    resolved_at: datetime | None = Field(None, description="When it was over, UTC.")
    beginnings: int = Field(1, description="How often it began since `counted_since`; 0: an event.")
    counted_since: datetime = Field(description="When counting of beginnings began, UTC.")
    owes_end: bool = Field(
        False, description="It is over, but comes and goes: that is told once it stays over."
    )

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.resolved_at is None


class Delivery(ConfigModel):
    """One message to one channel."""

    id: int = Field(description="Number of the delivery.")
    rule: str = Field(description="Rule that asked for it.")
    matter: str = Field(description="What it is about.")
    channel: str = Field(description="Where it goes.")
    title: str = Field(description="Title.")
    body: str = Field(description="Text.")
    severity: Severity = Field(description="Severity of the occurrence.")
    created_at: datetime = Field(description="When it was made, UTC.")
    not_before: datetime = Field(
        description="When it may be sent: after quiet hours, or for the next attempt."
    )
    attempts: int = Field(description="How often it was tried.")
    error: str | None = Field(description="Why the last attempt failed, or why it was given up.")
    delivered_at: datetime | None = Field(description="When it arrived, UTC.")
    given_up_at: datetime | None = Field(description="When it was given up, UTC.")


class Sent(ConfigModel):
    """What one round of deliveries came to."""

    taken_in: int = Field(0, description="Occurrences that were looked at.")
    delivered: int = Field(0, description="Messages that arrived.")
    failed: int = Field(0, description="Attempts that failed; they are tried again later.")
    given_up: int = Field(0, description="Messages that are not tried again.")


class RuleEntry(ConfigModel):
    """A rule as lists show it, and where it stands."""

    name: str = Field(description="Name; those of pipelines are `pipeline:NAME:NUMBER`.")
    file: str = Field(description="File it stands in, relative to the project.")
    line: int | None = Field(None, description="1-based line.")
    about: str = Field(description="What it is about, in words.")
    to: list[str] = Field(description="Channels.")
    repeat_every: str | None = Field(None, description="How often it is told again; null: never.")
    quiet_hours: str = Field("", description="When nobody is woken, in words.")
    escalate: list[str] = Field([], description="Who hears of it later, in words.")
    enabled: bool = Field(True, description="Whether it is in force.")


class ChannelEntry(ConfigModel):
    """A channel as lists show it: never with its secret."""

    name: str = Field(description="Name.")
    kind: str = Field(
        description="Service, such as slack; `topic`; or `unknown` if the secret cannot be read."
    )
    goes_to: str = Field(description="The reference to the secret, or the topic.")
    problem: str = Field("", description="Why it cannot work, if it cannot.")


class Overview(ConfigModel):
    """What the files say."""

    rules: list[RuleEntry] = Field(description="Rules, those of `alerts.yaml` first.")
    channels: list[ChannelEntry] = Field(description="Channels of `alerts.yaml`.")
    problems: list[str] = Field([], description="What is wrong, with file and line.")

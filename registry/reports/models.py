"""Abuse reports, and what clients send and get."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from registry.documents import Answer, Body, Document, Line, Text

TARGET_PATTERN = (
    r"^(component:[a-z][a-z0-9]{1,38}/[a-z][a-z0-9-]{0,99}"
    r"|release:[a-z][a-z0-9]{1,38}/[a-z][a-z0-9-]{0,99}@\d{1,9}\.\d{1,9}\.\d{1,9}(rc\d{1,9})?"
    r"|(review|thread|reply):[0-9a-z]{26})$"
)


class ReportReason(StrEnum):
    """What is wrong."""

    MALWARE = "malware"
    IMPERSONATION = "impersonation"
    LICENCE = "licence"
    ABUSE = "abuse"
    SPAM = "spam"
    OTHER = "other"


# Until when somebody shall have looked at it.
ANSWER_WITHIN = {
    ReportReason.MALWARE: timedelta(hours=24),
    ReportReason.IMPERSONATION: timedelta(hours=48),
    ReportReason.LICENCE: timedelta(days=5),
    ReportReason.ABUSE: timedelta(hours=48),
    ReportReason.SPAM: timedelta(hours=72),
    ReportReason.OTHER: timedelta(days=5),
}


class Resolution(StrEnum):
    """What is done about it."""

    QUARANTINE = "quarantine"
    HIDE = "hide"
    DISMISS = "dismiss"


class ModerationKind(StrEnum):
    """What moderators may hide."""

    REVIEW = "review"
    THREAD = "thread"
    REPLY = "reply"


class ModerationAction(StrEnum):
    """What moderators do."""

    HIDE = "hide"
    SHOW = "show"
    LOCK = "lock"
    UNLOCK = "unlock"


class Report(Document):
    """What somebody finds wrong.

    Attributes:
        key: `target|account` while it is open, then its id: one open report per account and target.
        target: `kind:id`.
        component: Which component it is about.
        user_id: Who reports.
        reason: What is wrong.
        text: In their words.
        is_open: Whether it waits.
        created_at: When.
        due_at: Until when it shall be looked at.
        resolution: What was done.
        note: Why.
        resolved_by: By whom.
        resolved_at: When.
        told: Whether its event is kept for the webhooks; until then the report itself stands for it.
    """

    key: str
    target: str
    component: str
    user_id: str
    reason: ReportReason
    text: str
    is_open: bool = True
    created_at: datetime
    due_at: datetime
    resolution: Resolution | None = None
    note: str = ""
    resolved_by: str = ""
    resolved_at: datetime | None = None
    told: bool = True


class NewReport(Body):
    """What is wrong with what."""

    target: Annotated[Line, Field(pattern=TARGET_PATTERN)] = Field(
        description="component:ns/slug, release:ns/slug@1.2.0, review:ID, thread:ID or reply:ID."
    )
    reason: ReportReason = Field(description="What is wrong.")
    text: Annotated[Text, Field(max_length=4_000)] = Field("", description="In your words.")


class Resolve(Body):
    """What is done about a report."""

    action: Resolution = Field(
        description="quarantine a release or all of a component, hide a text, or dismiss the report."
    )
    note: Annotated[Text, Field(min_length=3, max_length=500)] = Field(
        description="Why; with quarantine it is shown to everybody who has it installed."
    )


class Moderate(Body):
    """What a moderator does, and why."""

    action: ModerationAction = Field(description="hide or show; lock or unlock a thread.")
    reason: Annotated[Line, Field(min_length=3, max_length=500)] = Field(
        description="Why; kept in the audit log."
    )


class ReportMade(Answer):
    """What the one who reports gets.

    Attributes:
        due_at: Until when somebody shall have looked at it.
    """

    id: str
    target: str
    reason: ReportReason
    is_open: bool
    resolution: Resolution | None
    created_at: datetime
    due_at: datetime


class ReportAnswer(ReportMade):
    """A report as administrators see it.

    Attributes:
        age_s: Seconds since it came, or until it was resolved.
        overdue: Whether it took or takes longer than it should.
    """

    component: str
    reporter: str
    text: str
    age_s: int
    overdue: bool
    note: str
    resolved_by: str
    resolved_at: datetime | None


class QueueAnswer(Answer):
    """How the queue stands.

    Attributes:
        open: Reports that wait.
        overdue: Those that wait too long.
        oldest_s: Age of the oldest; None without any.
    """

    open: int
    overdue: int
    oldest_s: int | None


class Moderated(Answer):
    """What was done to what."""

    kind: ModerationKind
    id: str
    action: ModerationAction

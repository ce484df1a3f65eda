"""What two people, or two tabs of one, change at the same time: who sends the older page is told, and nothing is lost."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol


class _Changed(Protocol):
    @property
    def updated_at(self) -> datetime: ...
    @property
    def updated_by(self) -> str: ...


def is_outdated(form: Mapping[str, str], updated_at: datetime) -> bool:
    """Return whether a form was shown before the last change; `since` in it says of when it is."""
    since = form.get("since", "")
    return bool(since) and since != updated_at.isoformat()


def changed_by(thing: _Changed) -> str:
    """Say who changed something while another page of it was open."""
    at = thing.updated_at.astimezone(UTC)
    return f"It was changed elsewhere since this page was opened, by {thing.updated_by or 'somebody'} at {at:%H:%M:%S} UTC"

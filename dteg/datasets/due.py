"""What the clock says: which refreshes and snapshots are due, and who does them."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from dteg.core.schedules import next_times
from dteg.datasets import store
from dteg.datasets.models import Due

_STEPS = (
    timedelta(hours=2), timedelta(days=2), timedelta(days=40), timedelta(days=400), timedelta(days=1500),
)  # fmt: skip
# How many times are worked out together; the times of a rare schedule must not reach beyond the calendar.
_AT_ONCE = 60


def due(connection: store.Connection, now: datetime) -> list[Due]:
    """Return what is due, by name; of several times that were missed only the last."""
    found = []
    for dataset in store.datasets(connection, now):
        claimed = dict(store.run(connection, "last_claims", slug=dataset.slug).fetchall())
        for what, plan in _plans(dataset.spec):
            after = max(claimed.get(what, dataset.saved_at), dataset.saved_at)
            slot = last_time(plan["schedule"], plan.get("timezone", "UTC"), after, now)
            # Of rows that nobody has built there is nothing to remember.
            if slot is not None and (what == "refresh" or dataset.live):
                found.append(Due(slug=dataset.slug, slot=slot, what=what))
    return found


def claim(connection: store.Connection, wanted: Due, by: str) -> bool:
    """Take a time; False if it is taken, or the dataset is gone."""
    values = {"slug": wanted.slug, "slot": wanted.slot, "what": wanted.what}
    taken = store.run(connection, "claim", **values, by=by).rowcount == 1
    if taken:
        store.run(connection, "forget_claims", slug=wanted.slug)
    return taken


def last_time(cron: str, timezone: str, after: datetime, now: datetime) -> datetime | None:
    """Return the last time of a schedule later than `after` and not later than `now`; None if there is none.

    Args:
        cron: Expression of five fields.
        timezone: Name of the zone it is read in.
        after: Aware time.
        now: Aware time.
    """
    for step in _STEPS:
        begin = max(now - step, after)
        if (found := _last_between(cron, timezone, begin, now)) is not None or begin == after:
            return found
    return None


def _last_between(cron: str, timezone: str, after: datetime, now: datetime) -> datetime | None:
    last = None
    while True:
        times = next_times(cron, timezone, after, _AT_ONCE)
        passed = [each for each in times if each <= now]
        last = passed[-1].astimezone(UTC) if passed else last
        if len(passed) < _AT_ONCE:
            return last
        after = passed[-1]


def _plans(spec: dict[str, Any]) -> list[tuple[Literal["refresh", "snapshot"], dict[str, Any]]]:
    found: list[tuple[Literal["refresh", "snapshot"], dict[str, Any]]] = []
    if (cache := spec.get("cache") or {}).get("schedule"):
        found.append(("refresh", cache))
    if (snapshot := spec.get("snapshot") or {}).get("schedule"):
        found.append(("snapshot", snapshot))
    return found

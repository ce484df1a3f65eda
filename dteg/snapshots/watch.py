"""Looks at new points as they come: those far outside of what was expected become alerts, until one fits again."""

from datetime import datetime

from dteg.alerts import Occurrence, Severity, State, report
from dteg.alerts.models import Kind
from dteg.core.control import session
from dteg.core.project import Project
from dteg.snapshots import store
from dteg.snapshots.dims import by_texts, by_words
from dteg.snapshots.expectation import Expected, expectations
from dteg.snapshots.models import Dims, Taken
from dteg.snapshots.slots import Clockwork, season_of_schedule
from dteg.snapshots.wording import moment, number

MAX_WATCHED = 1_000
# More at once have one cause, which one alert can tell.
MAX_ALERTS = 20
_LEAST, _MOST = 60, 400


def watch(project: Project, taken: Taken, clockwork: Clockwork) -> int:
    """Report the points of a snapshot that are far outside of what was expected, and those that fit again.

    Returns:
        How many are far outside.
    """
    if taken.stale or taken.again or not taken.points:
        return 0
    season = season_of_schedule(clockwork, taken.slot)
    count = min(max(_LEAST, 3 * season + 10), _MOST)
    planned = _planned(clockwork, taken.slot, count)
    found: list[Occurrence] = []
    outside = 0
    with session(project, store.DOMAIN) as connection:
        there = store.rows(connection, "series_at", dataset=taken.dataset, slot=taken.slot, limit=MAX_WATCHED)
        stale = [
            row["slot"]
            for row in store.rows(connection, "stale_slots", dataset=taken.dataset, since=planned[0])
        ]
        recent = store.rows(
            connection,
            "recent",
            series=[row["id"] for row in there],
            since=planned[0],
            stale=stale,
            limit=count,
        )
    values = {row["id"]: dict(zip(row["slots"], row["values"], strict=True)) for row in recent}
    for row in there:
        known = values.get(row["id"], {})
        judged = expectations([known.get(slot) for slot in planned], season, last=2)
        last = next((each for each in judged if each.place == len(planned) - 1), None)
        if last is None:
            continue
        outside += last.extreme
        before = any(each.extreme for each in judged if each is not last)
        if last.extreme or before:
            found.append(_occurrence(taken, row["metric"], row["dims"], known[taken.slot], last))
    _report(project, taken, found, outside)
    return outside


def _planned(clockwork: Clockwork, slot: datetime, count: int) -> list[datetime]:
    """Return the last planned times up to a slot, the slot included; also where clocks jump."""
    step = clockwork.after(slot, 15)
    ahead = (step[-1] - slot) / len(step) if step else None
    if ahead is None:
        return [slot]
    return clockwork.between(slot - ahead * count, slot)[-count:] or [slot]


def _occurrence(taken: Taken, metric: str, by: Dims, value: float, expected: Expected) -> Occurrence:
    name = f"{metric} of {taken.dataset}" + (f" ({by_words(by)})" if by else "")
    low, high = expected.value - expected.half_95, expected.value + expected.half_95
    said = f"{number(value)} at {moment(taken.slot)} UTC, where {number(low)} to {number(high)} was to be expected"
    matter = " ".join([f"snapshot:{taken.dataset}.{metric}", *by_texts(by)])[:500]
    return Occurrence(
        kind=Kind.CHECK, subject=f"ds.{taken.dataset}: {metric} is unusual", dedupe_key=matter,
        state=State.FIRING if expected.extreme else State.RESOLVED, severity=Severity.WARNING,
        message=f"{name} is {'unusual' if expected.extreme else 'as expected again'}: {said}",
        details={
            "dataset": taken.dataset, "metric": metric, "by": by, "slot": taken.slot.isoformat(), "value": value,
            "expected": expected.value, "low": low, "high": high,
        },
    )  # fmt: skip


def _report(project: Project, taken: Taken, found: list[Occurrence], outside: int) -> None:
    found.sort(key=lambda each: each.state is State.RESOLVED)
    told = found[:MAX_ALERTS]
    if len(found) > MAX_ALERTS:
        told.append(
            Occurrence(
                kind=Kind.CHECK, subject=f"ds.{taken.dataset}: many metrics are unusual", state=State.EVENT,
                severity=Severity.WARNING, message=f"{outside} series of {taken.dataset} are unusual at {moment(taken.slot)} UTC",
                details={"dataset": taken.dataset, "slot": taken.slot.isoformat(), "unusual": outside},
            )
        )  # fmt: skip
    if taken.problem:
        told.append(
            Occurrence(
                kind=Kind.CHECK, subject=f"ds.{taken.dataset}: rows of snapshots", severity=Severity.WARNING,
                message=f"snapshot of {taken.dataset}: {taken.problem}", details={"dataset": taken.dataset},
            )
        )  # fmt: skip
    if told:
        report(project, *told)

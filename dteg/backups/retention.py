"""Which backups are kept: grandfathers, fathers and sons, as a function of dates alone."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from dteg.backups.models import Backup, Keep


@dataclass(frozen=True, slots=True)
class Plan:
    """What a prune does.

    Attributes:
        keep: Id -> why it stays.
        delete: Ids that go, the oldest first.
    """

    keep: dict[str, tuple[str, ...]]
    delete: tuple[str, ...]


_BUCKETS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: (at.year,),
}


def plan(backups: Iterable[Backup], keep: Keep, now: datetime, zone: tzinfo) -> Plan:
    """Decide which backups stay.

    Of each of the last N days, ISO weeks, months and years *that have a backup* the newest one stays, for each database
    by itself: runs that were missed cost no older backup. Whatever the numbers say, of each database the newest backup
    stays, the newest that was restored and compared, the newest that was at least read, and what is dated in the future.

    Args:
        backups: All there are.
        keep: How many of each age.
        now: The time.
        zone: Where days begin and end.
    """
    by_database: dict[str, list[Backup]] = defaultdict(list)
    for backup in backups:
        by_database[backup.database].append(backup)
    kept: dict[str, tuple[str, ...]] = {}
    for group in by_database.values():
        group.sort(key=lambda each: (each.started_at, each.id), reverse=True)
        kept.update(_reasons(group, keep, now, zone))
    gone = [each for group in by_database.values() for each in group if each.id not in kept]
    gone.sort(key=lambda each: (each.started_at, each.id))
    return Plan(kept, tuple(each.id for each in gone))


def _reasons(group: list[Backup], keep: Keep, now: datetime, zone: tzinfo) -> dict[str, tuple[str, ...]]:
    """Return what stays of one database, given from the newest to the oldest."""
    why: dict[str, list[str]] = defaultdict(list)
    why[group[0].id].append("newest")
    for name, found in (
        ("newest restored and compared", [each for each in group if each.restore_verified_at]),
        ("newest verified", [each for each in group if each.is_verified]),
    ):
        if found:
            why[found[0].id].append(name)
    past = [each for each in group if each.started_at <= now]
    for backup in group[: len(group) - len(past)]:
        why[backup.id].append("dated in the future")
    for name, bucket in _BUCKETS.items():
        newest: dict[tuple[int, ...], Backup] = {}
        for backup in past:
            newest.setdefault(bucket(backup.started_at.astimezone(zone)), backup)
        for backup in list(newest.values())[: getattr(keep, name)]:
            why[backup.id].append(name)
    return {backup_id: tuple(reasons) for backup_id, reasons in why.items()}

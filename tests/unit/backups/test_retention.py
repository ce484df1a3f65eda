"""Retention: five years of nightly backups, with missed runs, changes of the clock and the ends of months."""

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dteg.backups.models import Backup, Engine, Keep
from dteg.backups.retention import plan
from dteg.core.errors import ConfigError

ZONE = ZoneInfo("Europe/Berlin")
START = datetime(2021, 1, 1, 2, 30, tzinfo=ZONE)
DAYS = 5 * 365 + 2
KEEP = Keep()


def backup(at, *, database="shop", verified=False, restored=False):
    at = at.astimezone(UTC)
    return Backup(
        id=f"{database}-{at:%Y%m%dT%H%M%SZ}-{abs(hash((database, at))) % 16**6:06x}", database=database,
        engine=Engine.POSTGRESQL, target="file:///x", started_at=at, finished_at=at, bytes=1, content_bytes=1,
        tables=1, rows=1, encrypted=False, verified_at=at if verified or restored else None,
        restore_verified_at=at if restored else None,
    )  # fmt: skip


def nights(rng, missed):
    """Yield when backups are made: at 02:30 by the clock on the wall, which is skipped in March and comes twice in October."""
    for day in range(DAYS):
        at = datetime.combine(START.date() + timedelta(days=day), START.time(), tzinfo=ZONE)
        if rng.random() >= missed:
            yield at + timedelta(minutes=rng.randrange(20))


@pytest.mark.parametrize("missed", [0.0, 0.1, 0.6])
def test_five_years_of_nights(missed):
    rng = random.Random(20260)
    there, made = [], History()
    for at in nights(rng, missed):
        new = backup(at, verified=rng.random() < 0.05, restored=rng.random() < 0.02)
        made.add(new)
        planned = plan([*there, new], KEEP, at + timedelta(minutes=30), ZONE)
        there = [each for each in [*there, new] if each.id in planned.keep]
        made.check(there)
    assert made.count > DAYS * (1 - missed) * 0.9
    assert len(there) >= 20


class History:
    """What was ever made, and what of it must be there after each night."""

    def __init__(self):
        self.count = 0
        self.days, self.weeks, self.months, self.years = {}, {}, {}, {}
        self.verified = self.restored = None

    def add(self, new):
        day = new.started_at.astimezone(ZONE).date()
        self.count += 1
        for bucket, key in (
            (self.days, day), (self.weeks, day.isocalendar()[:2]), (self.months, (day.year, day.month)),
            (self.years, day.year),
        ):  # fmt: skip
            bucket[key] = new.id
        self.verified = new if new.verified_at else self.verified
        self.restored = new if new.restore_verified_at else self.restored

    def check(self, there):
        ids = {each.id for each in there}
        assert len(there) <= 7 + 5 + 12 + 5 + 3
        for bucket, number in ((self.days, 7), (self.weeks, 5), (self.months, 12), (self.years, 5)):
            assert set(list(bucket.values())[-number:]) <= ids
        for each in filter(None, (self.verified, self.restored)):
            assert each.id in ids, "the last one that was verified is gone"


def test_the_last_verified_one_outlives_every_rule():
    """Seen red: without the two floors in `_reasons`."""
    old = backup(START, restored=True)
    read = backup(START + timedelta(days=1), verified=True)
    new = [backup(START + timedelta(days=1000 + day)) for day in range(40)]
    planned = plan([old, read, *new], Keep(daily=1, weekly=0, monthly=0, yearly=0), new[-1].started_at, ZONE)
    assert set(planned.keep) == {old.id, read.id, new[-1].id}
    assert len(planned.delete) == 39


def test_each_database_is_on_its_own():
    backups = [backup(START, database="a"), backup(START + timedelta(days=300), database="b")]
    assert plan(backups, Keep(daily=1, weekly=0, monthly=0, yearly=0), datetime.now(UTC), ZONE).delete == ()


def test_days_are_those_of_the_zone():
    """23:30 and 00:30 in Berlin are one day in UTC in summer, and the hour that comes twice belongs to one day."""
    late, early = datetime(2026, 7, 1, 23, 30, tzinfo=ZONE), datetime(2026, 7, 2, 0, 30, tzinfo=ZONE)
    keep = Keep(daily=2, weekly=0, monthly=0, yearly=0)
    assert plan([backup(late), backup(early)], keep, datetime(2026, 7, 3, tzinfo=UTC), ZONE).delete == ()
    twice = [datetime(2026, 10, 25, 2, 30, tzinfo=ZONE, fold=fold) for fold in (0, 1)]
    keep = Keep(daily=5, weekly=0, monthly=0, yearly=0)
    planned = plan([backup(at) for at in twice], keep, datetime(2026, 10, 26, tzinfo=UTC), ZONE)
    assert planned.delete == (backup(twice[0]).id,)


def test_a_backup_from_the_future_stays_and_takes_no_place():
    now = START + timedelta(days=100)
    future, today, before = backup(now + timedelta(days=2)), backup(now), backup(now - timedelta(days=1))
    keep = Keep(daily=1, weekly=0, monthly=0, yearly=0)
    assert plan([future, today, before], keep, now, ZONE).delete == (before.id,)


def test_keep_is_read():
    assert Keep.parse("daily=3, yearly=1") == Keep(daily=3, weekly=0, monthly=0, yearly=1)
    for text in ("", "daily=0", "hourly=3", "daily", "daily=-1", "daily=x"):
        with pytest.raises(ConfigError, match="--keep"):
            Keep.parse(text)

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from dteg.snapshots.slots import Clockwork, horizon_of, nearest, same_time, season_of, season_of_schedule

NOW = datetime(2026, 11, 21, 13, 7, 31, tzinfo=UTC)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "timezone", "last"),
    [
        ("* * * * *", "UTC", "2026-11-21T13:07"),
        ("0 * * * *", "UTC", "2026-11-21T13:00"),
        ("30 2 * * *", "Asia/Seoul", "2026-11-20T17:30"),
        ("0 9 1 * *", "UTC", "2026-11-01T09:00"),
        ("0 0 1 1 *", "UTC", "2026-01-01T00:00"),
        ("0 0 29 2 *", "UTC", "2024-02-29T00:00"),
    ],
)
def test_now_belongs_to_the_last_planned_time(cron, timezone, last):
    assert Clockwork(cron, timezone).at(NOW) == at(last)
    assert Clockwork(cron, timezone).is_planned(at(last))
    assert not Clockwork(cron, timezone).is_planned(at(last) + timedelta(seconds=1))


def test_a_planned_time_is_its_own():
    assert Clockwork("0 * * * *").at(at("2026-11-21T13:00")) == at("2026-11-21T13:00")


def test_times_between_two_are_all_of_them():
    found = Clockwork("0 * * * *").between(at("2026-11-01T00:00"), at("2026-11-08T00:00"))
    assert len(found) == 7 * 24
    assert (found[0], found[-1]) == (at("2026-11-01T01:00"), at("2026-11-08T00:00"))


@pytest.mark.parametrize(
    ("cron", "season", "horizon"),
    [
        ("0 * * * *", 24, 24),
        ("*/15 * * * *", 96, 96),
        ("0 */6 * * *", 4, 6),
        ("0 9-17 * * 1-5", 9, 9),
        ("0 6 * * *", 7, 14),
        ("0 6 * * 1-5", 5, 14),
        ("0 6 * * 1", 52, 13),
        ("0 6 1 * *", 12, 12),
        ("0 6 1 */3 *", 4, 8),
        ("* * * * *", 1, 6),
        ("0 6 1 1 *", 1, 4),
    ],
)
def test_season_and_horizon_follow_from_the_schedule(cron, season, horizon):
    clockwork = Clockwork(cron)
    assert season_of_schedule(clockwork, NOW) == season
    ahead = clockwork.after(NOW, 15)
    step = sorted((b - a).total_seconds() for a, b in pairwise(ahead))[7]
    assert horizon_of(step, season) == horizon


def test_season_of_times_without_a_schedule():
    days = [at("2026-01-01T00:00") + timedelta(days=n) for n in range(30)]
    assert season_of(days) == 7
    assert season_of(days[:1]) == 1


def test_the_same_time_goes_by_the_clock_of_the_zone():
    # On 25 October 2026 Paris goes back to winter time.
    after = datetime(2026, 10, 28, 8, tzinfo=UTC)
    assert same_time(after, "Europe/Paris", days=7) == datetime(2026, 10, 21, 7, tzinfo=UTC)
    assert same_time(after, "UTC", days=7) == datetime(2026, 10, 21, 8, tzinfo=UTC)
    assert same_time(at("2024-02-29T05:00"), "UTC", years=1) == at("2023-02-28T05:00")


def test_nearest_is_near_enough_or_none():
    hours = [at("2026-01-01T00:00") + timedelta(hours=n) for n in range(10)]
    assert nearest(hours, at("2026-01-01T03:20"), 1800) == 3
    assert nearest(hours, at("2026-01-01T03:20"), 600) is None
    assert nearest([], NOW, 600) is None

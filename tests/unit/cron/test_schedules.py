"""Cron expressions: checked, said in words, worked out."""

from datetime import UTC, datetime

import pytest

from dteg.core.schedules import check_cron, check_timezone, describe, next_times

BEFORE_SPRING = datetime(2026, 3, 7, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["* * * *", "0 2 * * * *", "61 * * * *", "often", "@daily", "0 0 30 2 *"])
def test_text_that_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match="is not a cron expression"):
        check_cron(text)


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "America"])
def test_zone_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="unknown time zone"):
        check_timezone(name)


def test_zone_that_lacks_its_continent_gets_it():
    with pytest.raises(ValueError, match='did you mean "Asia/Seoul"'):
        check_timezone("seoul")


def test_times_are_utc_and_follow_the_clocks_of_the_zone():
    # New York's clocks go from 02:00 to 03:00 on 8 March 2026.
    times = next_times("0 6 * * *", "America/New_York", BEFORE_SPRING, 3)
    assert [f"{at:%d %H:%M}" for at in times] == ["08 10:00", "09 10:00", "10 10:00"]
    assert all(at.tzinfo is UTC for at in times)
    skipped = next_times("30 2 * * *", "America/New_York", BEFORE_SPRING, 2)
    assert [f"{at:%d %H:%M}" for at in skipped] == ["08 07:00", "09 06:30"]  # right after the jump


def test_fixed_time_that_comes_twice_is_the_second_one():
    # New York's clocks go from 02:00 back to 01:00 on 1 November 2026; Dagster runs a daily 01:30 the second time.
    before = datetime(2026, 10, 31, 12, tzinfo=UTC)
    fixed = next_times("30 1 * * *", "America/New_York", before, 2)
    assert [f"{at:%d %H:%M}" for at in fixed] == ["01 06:30", "02 06:30"]
    hourly = next_times("30 * * * *", "America/New_York", datetime(2026, 11, 1, 5, tzinfo=UTC), 3)
    assert [f"{at:%d %H:%M}" for at in hourly] == ["01 05:30", "01 06:30", "01 07:30"]


def test_schedule_is_said_in_words():
    assert describe("0 2 * * *") == "At 02:00 every day"
    assert "Monday through Friday" in describe("0 9 * * 1-5")

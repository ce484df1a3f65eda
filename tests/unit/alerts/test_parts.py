"""Conditions, quiet hours, and what is left out of messages."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.alerts.channels import without_secrets
from dteg.alerts.conditions import Condition
from dteg.alerts.rules import QuietHours
from dteg.alerts.runs import reason_of
from dteg.core.errors import InputError, PermanentError

VALUES = {"rows": 1500, "share": 0.5, "table": "raw.flights", "ok": True, "none": None, "andes": 1}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("rows > 1000", True),
        ("rows>1000 and share <= 0.5", True),
        ("rows > 1000 and share < 0.5", False),
        ("rows = 1500", True),
        ("rows == -1500", False),
        ("""table = "raw.flights" and table != 'x'""", True),
        ("ok = true", True),
        ("ok = 1", False),
        ("table > 5", False),
        ("missing != 3", False),
        ("none = true", False),
        ("andes = 1 and rows > 1", True),
    ],
)
def test_condition(text, holds):
    assert Condition.parse(text).holds(VALUES) is holds


@pytest.mark.parametrize(
    ("text", "column"),
    [("", 1), ("rows", 1), ("rows > ", 1), ("rows > many", 1), ("rows > 1 or ok = true", 10), ("rows > 1 and", 13),
     ("rows > 1 andes = 1", 10), ("__import__('os')", 1)],
)  # fmt: skip
def test_what_is_no_condition_is_told_with_its_column(text, column):
    with pytest.raises(ValueError, match=f"column {column}: "):
        Condition.parse(text)


def make_quiet(start, end, zone="UTC"):
    return QuietHours.model_validate({"from": start, "to": end, "timezone": zone})


def test_quiet_hours_within_a_day():
    quiet = make_quiet("12:00", "13:30")
    at = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
    assert quiet.end_after(at) == at + timedelta(hours=1.5)
    assert quiet.end_after(at + timedelta(hours=1.5)) is None
    assert quiet.end_after(at - timedelta(seconds=1)) is None


@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    start=st.integers(0, 47), end=st.integers(0, 47),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)  # fmt: skip
def test_quiet_hours_end_soon_and_not_before_now_and_by_the_wall(now, start, end, zone):
    if start == end:
        return
    times = [time(half // 2, half % 2 * 30) for half in (start, end)]
    quiet = make_quiet(*times, zone)
    ends = quiet.end_after(now)
    if ends is None:
        clock = now.astimezone(ZoneInfo(zone)).time()
        inside = times[0] <= clock < times[1] if start < end else clock >= times[0] or clock < times[1]
        assert not inside
        return
    assert now < ends <= now + timedelta(hours=25)
    wall = ends.astimezone(ZoneInfo(zone))
    there = datetime.combine(date(wall.year, wall.month, wall.day), times[1], ZoneInfo(zone))
    skipped = there.astimezone(UTC).astimezone(ZoneInfo(zone)).time() != times[1]
    assert wall.time().replace(fold=0) == times[1] or skipped


def test_reason_holds_no_values_and_no_secrets():
    error = PermanentError(
        'invalid input syntax for type integer: "s3cret"; Key (name)=(s3cret) is there; password=s3cret\nline 2 s3cret'
    )
    assert "s3cret" not in reason_of(error)
    assert reason_of(error).startswith("invalid input syntax for type integer: …; Key … is there")
    assert reason_of(InputError("'s3cret' is no date", source="a.csv", line=3)) == "a.csv:3: … is no date"


@pytest.mark.parametrize(
    ("url", "text", "left"),
    [
        ("json://user:hunter@host.example/path-secret?-k=key-secret", "host.example said path-secret, hunter, key-secret",
         "host.example said **********, **********, **********"),
        ("slack://TokenAAAA/TokenB1/TokenC1/#room", "TokenAAAA TokenB1 TokenC1", "********** ********** **********"),
        ("https://hooks.example/a%20secret/", "a secret a%20secret", "********** **********"),
    ],
)  # fmt: skip
def test_texts_of_services_show_nothing_of_the_url(url, text, left):
    assert without_secrets(text, url) == left

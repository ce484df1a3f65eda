import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.core.durations import describe_duration, parse_duration

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("26h", timedelta(hours=26)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        (" 0s ", timedelta(0)),
    ],
)
def test_durations_are_read(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "26", "h", "26 h", "1.5h", "-1h", "1h30m", "26H", "٣h", "1h\n2", "999999999w", "1y"]
)
def test_bad_durations_are_refused_with_examples(text):
    with pytest.raises(ValueError, match=r"such as .*26h"):
        parse_duration(text)


@given(st.from_regex(r"[0-9]{1,9}[smhdw]", fullmatch=True) | st.text(max_size=8))
def test_any_text_gives_a_duration_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        assert parse_duration(text) >= timedelta(0)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(seconds=5), "5 seconds"),
        (timedelta(minutes=90), "1.5 hours"),
        (timedelta(hours=47), "47.0 hours"),
        (timedelta(hours=60), "2.5 days"),
        (timedelta(minutes=-2), "-2.0 minutes"),
    ],
)
def test_durations_are_said_in_their_largest_unit(duration, expected):
    assert describe_duration(duration) == expected

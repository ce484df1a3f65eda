"""Queries, suggestions, durations: parts of a few lines each."""

from datetime import timedelta

import pytest

from dteg.core.durations import describe_duration, parse_duration
from dteg.core.queries import load_queries
from dteg.core.suggest import did_you_mean


def test_queries_are_found_by_name_and_keep_their_text(tmp_path):
    path = tmp_path / "q.sql"
    path.write_text(
        "-- about the file\n\n-- name: one\nSELECT 1;\n\n-- name: two\n-- a comment\nSELECT\n  2;\n"
    )
    assert load_queries(path) == {"one": "SELECT 1;", "two": "-- a comment\nSELECT\n  2;"}


def test_a_file_without_names_has_no_queries(tmp_path):
    path = tmp_path / "q.sql"
    path.write_text("SELECT 1;")
    assert load_queries(path) == {}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("postgers", 'did you mean "postgres"?'),
        ("REST", 'did you mean "rest"?'),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_word_is_suggested(word, expected):
    assert did_you_mean(word, ["files", "postgres", "rest"]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", timedelta(seconds=90)), ("15m", timedelta(minutes=15)), ("26h", timedelta(hours=26)), (" 7d ", timedelta(7)), ("2w", timedelta(14))],
)  # fmt: skip
def test_durations_are_read(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "h", "-5h", "1.5h", "5 h", "5H", "٣d", "9999999999d", "999999999w"]
)
def test_other_texts_are_no_durations(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 seconds"), (60, "1.0 minutes"), (5400, "1.5 hours"), (113_400, "31.5 hours"), (172_800, "2.0 days"), (-7200, "-2.0 hours")]
)  # fmt: skip
def test_durations_are_said_in_their_largest_unit(seconds, text):
    assert describe_duration(timedelta(seconds=seconds)) == text

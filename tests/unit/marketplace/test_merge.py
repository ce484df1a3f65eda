import pytest
from hypothesis import given
from hypothesis import strategies as st

from dteg.marketplace.merge import merge_text, merge_trees

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d\n"]), max_size=8).map(b"".join)
BASE = b"one\ntwo\nthree\nfour\nfive\n"


def test_changes_in_two_places_are_joined():
    ours, theirs = BASE.replace(b"one", b"ONE"), BASE.replace(b"five", b"FIVE")
    assert merge_text(BASE, ours, theirs) == (b"ONE\ntwo\nthree\nfour\nFIVE\n", 0)


def test_changes_in_one_place_are_marked():
    text, conflicts = merge_text(BASE, BASE.replace(b"three", b"mine"), BASE.replace(b"three", b"new"))
    assert conflicts == 1
    assert text == (
        b"one\ntwo\n<<<<<<< yours\nmine\n||||||| base\nthree\n=======\nnew\n>>>>>>> new\nfour\nfive\n"
    )


def test_the_same_change_on_both_sides_is_no_conflict():
    changed = BASE.replace(b"three", b"3")
    assert merge_text(BASE, changed, changed) == (changed, 0)


def test_a_last_line_without_its_end_does_not_run_into_a_mark():
    text, _ = merge_text(b"x", b"mine", b"new")
    assert text == b"<<<<<<< yours\nmine\n||||||| base\nx\n=======\nnew\n>>>>>>> new\n"


@given(LINES, LINES)
def test_a_side_that_changed_nothing_takes_the_other(base, other):
    assert merge_text(base, base, other) == (other, 0)
    assert merge_text(base, other, base) == (other, 0)


@given(LINES, LINES, LINES)
def test_no_line_of_the_user_is_lost(base, ours, theirs):
    """Every added line of the user is in the result, whatever the others did."""
    text, conflicts = merge_text(base, ours, theirs)
    if conflicts:
        return
    added = [line for line in ours.splitlines() if line not in base.splitlines()]
    assert all(line in text.splitlines() for line in added)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "written", "deleted", "conflicts"),
    [
        ({}, {}, {"f": b"n"}, {"f": b"n"}, [], []),
        ({"f": b"b"}, {"f": b"b"}, {}, {}, ["f"], []),
        ({"f": b"b"}, {}, {"f": b"b"}, {}, [], []),
        ({"f": b"b"}, {"f": b"mine"}, {"f": b"b"}, {}, [], []),
        ({"f": b"b"}, {"f": b"mine"}, {}, {}, [], ["f"]),
        ({"f": b"b"}, {}, {"f": b"n"}, {"f.new": b"n"}, [], ["f"]),
        ({}, {"f": b"mine"}, {}, {}, [], []),
        ({"f": b"\x00b"}, {"f": b"\x00m"}, {"f": b"\x00n"}, {"f.new": b"\x00n"}, [], ["f"]),
        ({"f": b"b"}, {"f": b"same"}, {"f": b"same"}, {}, [], []),
    ],
)
def test_whole_files(base, ours, theirs, written, deleted, conflicts):  # noqa: PLR0917 - fixtures
    merged = merge_trees(base, ours, theirs)
    assert (merged.write, merged.delete, list(merged.conflicts)) == (written, deleted, conflicts)

from datetime import UTC, datetime, timedelta

import pytest

from registry.identifiers import id_of, new_id, skeleton


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("google", "g00gle"),
        ("paypal", "paypa1"),
        ("paypal", "paypai"),
        ("modern", "modem"),
        ("a-b", "ab"),
        ("vvest", "west"),
    ],
)
def test_lookalikes_have_one_skeleton(one, other):
    assert skeleton(one) == skeleton(other)


def test_different_names_have_different_skeletons():
    names = ["streaming", "stream", "kafka", "dteg", "acme", "acne", "mark", "dark"]
    assert len({skeleton(name) for name in names}) == len(names)


def test_ids_sort_by_time_and_differ():
    ids = [new_id() for _ in range(500)]  # many of them within one millisecond
    assert (len(set(ids)), ids) == (500, sorted(ids))
    assert all(len(each) == 26 for each in ids)


def test_an_id_of_a_moment_and_a_number_is_always_the_same_and_sorts_by_both():
    first = datetime(2026, 1, 1, tzinfo=UTC)
    later = first + timedelta(milliseconds=1)
    ids = [id_of(first, 1), id_of(first, 2), id_of(first, 40), id_of(later, 3), id_of(later, 2**80 - 1)]
    assert (len(set(ids)), ids) == (5, sorted(ids))
    assert id_of(first, 1) == ids[0]
    assert all(len(each) == 26 for each in ids)
    assert ids[-1] < new_id()

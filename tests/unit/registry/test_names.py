import pytest

from registry.identifiers import new_id, skeleton


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
    ids = [new_id() for _ in range(500)]
    assert len(set(ids)) == 500
    assert all(len(each) == 26 for each in ids)

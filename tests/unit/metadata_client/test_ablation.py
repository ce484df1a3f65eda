"""Descriptions, examples and joins each find tables that names alone do not."""

import pytest

from benchmarks.metadata_ablation import figures


@pytest.fixture(scope="module")
def found():
    return figures()


def test_with_everything_nearly_all_tables_are_found(found):
    assert min(found["everything"].values()) >= 0.95


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("without descriptions", "names and meanings"),
        ("without examples", "words of the trade"),
        ("without joins", "second table"),
    ],
)
def test_each_part_is_worth_something(found, part, kind):
    assert found[part][kind] <= found["everything"][kind] - 0.2
    assert found["schema only"][kind] <= found["everything"][kind] - 0.2

"""Definitions as YAML text, names of checks, and times that are due."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.core.yaml import parse
from dteg.datasets.due import last_time
from dteg.datasets.files import load_dataset, to_yaml
from dteg.datasets.refreshing.checks import check_names
from dteg.datasets.spec import dump_spec, parse_spec

SPEC = """
dataset: sales_by_country
version: 1
description: "All orders: paid, not 'open' #1"
sources:
  o: {source: shop, table: orders}
  c: {source: crm, schema: public, table: customers}
joins:
- {left: c, right: o, type: left, on: [[c.id, o.customer_id]], expect: one_to_many}
columns:
- {name: margin, formula: "round(amount - cost, 2)", type: "decimal(12,2)"}
filters:
  all:
  - {col: o.created, op: ">=", value: {relative: "-90d"}}
  - {col: o.status, op: in, value: ["yes", "1e3", "0x1F", "null", "~", "12:30:45", "=", "2026-01-01", ""]}
cache: {schedule: "*/15 * * * *", max_age: 1h, key: [margin]}
checks: [{not_empty: true}, {row_drop_max: "30%"}, {row_drop_max: "10%", blocking: false}, {unique: [margin]},
  {row_drop_max: "30%"}, {fresh: {col: margin, max_age: 2h}}]
"""
NOW = datetime(2026, 3, 29, 12, 7, 30, tzinfo=UTC)


def test_yaml_is_the_same_bytes_after_a_round_trip():
    text = to_yaml(dump_spec(parse_spec(SPEC)))
    assert dump_spec(parse_spec(text)) == dump_spec(parse_spec(SPEC))
    assert to_yaml(dump_spec(parse_spec(text))) == text
    assert "[[c.id, o.customer_id]]" in text
    assert '"*/15 * * * *"' in text


plain = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30) | st.sampled_from(
    [
        "1_000",
        "1e3",
        "0o17",
        "+.inf",
        "No",
        "=",
        "<<",
        "2026-01-01",
        "1:20",
        "~",
        "- a",
        "a: b",
        "#x",
        " x ",
        "\u2028",
        "!x",
    ]
)
values = st.recursive(
    plain | texts,
    lambda each: (
        st.lists(each, max_size=4) | st.dictionaries(texts.filter(lambda key: key != "<<"), each, max_size=4)
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), values, min_size=1, max_size=5))
def test_whatever_is_written_is_read_as_it_was(document):
    text = to_yaml(document)
    assert parse(text).value == document
    assert to_yaml(parse(text).value) == text


def test_checks_have_names_that_differ():
    assert check_names(parse_spec(SPEC)) == [
        ("not_empty", True), ("row_drop_max: 30%", True), ("row_drop_max: 10%", False), ("unique: margin", True),
        ("row_drop_max: 30% (2)", True), ("fresh: margin", True),
    ]  # fmt: skip


def test_a_file_of_the_project_is_called_like_its_dataset(tmp_path):
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "sales.yaml").write_text(SPEC)
    with pytest.raises(
        ConfigError, match=r"datasets/sales\.yaml: dataset: the dataset is called 'sales_by_country'"
    ):
        load_dataset(folder / "sales.yaml", Project(tmp_path))
    (tmp_path / "elsewhere.yaml").write_text(SPEC)
    assert load_dataset(tmp_path / "elsewhere.yaml", Project(tmp_path)).dataset == "sales_by_country"


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("*/15 * * * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 29, 12, 0, tzinfo=UTC)),
        ("*/15 * * * *", "UTC", datetime(2026, 3, 29, 12, 0, tzinfo=UTC), None),
        ("* * * * *", "UTC", datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 3, 29, 12, 7, tzinfo=UTC)),
        ("0 6 * * *", "Asia/Seoul", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 28, 21, 0, tzinfo=UTC)),
        ("0 0 1 * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ("* * 1 1 *", "UTC", datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 23, 59, tzinfo=UTC)),
        ("0 0 29 2 *", "UTC", datetime(2020, 3, 1, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC)),
        ("0 0 29 2 *", "UTC", datetime(2025, 1, 1, tzinfo=UTC), None),
        # That night clocks of Berlin jump from two to three: what is left out comes right after.
        ("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_only_the_last_time_counts(cron, zone, after, expected):
    assert last_time(cron, zone, after, NOW) == expected

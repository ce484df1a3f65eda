import pytest

from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName
from dteg.datasets.models import DatasetColumn
from dteg.datasets.spec import DatasetSpec
from dteg.snapshots.metrics import plan_of
from dteg.snapshots.models import How

COLUMNS = [
    DatasetColumn(name="country", type="text"),
    DatasetColumn(name="day", type="date"),
    DatasetColumn(name="revenue", type="numeric(12,2)"),
    DatasetColumn(name="buyers", type="bigint"),
]


def make_spec(snapshot=None, **values):
    base = {
        "dataset": "sales",
        "sources": {"o": {"source": "shop", "table": "orders"}},
        "group_by": ["o.country", {"name": "day", "from": "o.created", "grain": "day"}],
        "measures": [
            {"name": "revenue", "fn": "sum", "of": "o.amount"},
            {"name": "buyers", "fn": "count_distinct", "of": "o.customer"},
        ],
        "snapshot": {"schedule": "0 * * * *", **(snapshot or {})},
    }
    return DatasetSpec.model_validate({**base, **values})


def hows(spec, columns=COLUMNS):
    return {each.name: (each.how, each.total) for each in plan_of(spec, columns).metrics}


def test_sums_are_added_up_and_distinct_counts_are_not():
    assert hows(make_spec({"by": ["country"]})) == {
        "revenue": (How.SUM, True),
        "buyers": (How.MEAN, False),
        "rows": (How.COUNT, True),
    }


def test_a_value_of_one_group_is_itself():
    assert hows(make_spec({"by": ["country", "day"]}))["buyers"] == (How.VALUE, False)


def test_without_groups_the_total_is_the_one_row():
    spec = make_spec(group_by=[])
    assert hows(spec, COLUMNS[2:])["buyers"] == (How.VALUE, True)


def test_chosen_metrics_only_and_always_the_rows():
    assert list(hows(make_spec({"metrics": ["revenue"]}))) == ["revenue", "rows"]


@pytest.mark.parametrize(
    ("snapshot", "path", "said"),
    [
        ({"by": ["contry"]}, "snapshot.by[0]", 'did you mean "country"'),
        ({"metrics": ["revenue", "profit"]}, "snapshot.metrics[1]", "no column 'profit'"),
        ({"metrics": ["country"]}, "snapshot.metrics[0]", "country is text, not a number"),
    ],
)
def test_what_is_wrong_says_where(snapshot, path, said):
    with pytest.raises(ConfigError) as caught:
        plan_of(make_spec(snapshot), COLUMNS)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert said in problem.message


def test_a_dataset_without_snapshot_says_what_to_write():
    with pytest.raises(ConfigError, match="snapshot: "):
        plan_of(make_spec(snapshot=None).model_copy(update={"snapshot": None}), COLUMNS)


def test_names_in_the_query_are_quoted():
    columns = [
        DatasetColumn(name='a"; DROP TABLE x; --', type="integer"),
        DatasetColumn(name="b", type="text"),
    ]
    spec = make_spec({"metrics": ['a"; DROP TABLE x; --'], "by": ["b"]})
    text = plan_of(spec, columns).query(TableName("ds_cache", "sales__g1")).as_string(None)
    assert 'avg("a""; DROP TABLE x; --")' in text
    assert "GROUPING SETS" in text

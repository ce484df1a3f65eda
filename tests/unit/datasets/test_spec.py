import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dteg.core.errors import ConfigError
from dteg.core.yaml import parse
from dteg.datasets.spec import DatasetSpec, conditions, dump_spec, parse_spec, placed, spec_of
from dteg.datasets.spec.values import keep_duration

SALES = """
dataset: sales_by_country
version: 1
sources:
  o: {source: shop_mysql, table: orders}
  c: {source: crm_pg, schema: public, table: customers}
joins:
  - {left: c, right: o, type: left, on: [[c.id, o.customer_id]], expect: one_to_many}
columns:
  - {name: country, from: c.country}
  - {name: status_text, lookup: {dictionary: order_status, key: o.status, value: title, default: "unknown"}}
  - {name: margin, formula: "round(amount - cost, 2)", type: "decimal(12,2)"}
filters:
  all: [{col: o.created, op: ">=", value: {relative: -90d}}, {not: {any: [{col: c.email, op: is_null}]}}]
group_by: [country, {name: day, from: o.created, grain: day}]
measures: [{name: revenue, fn: sum, of: o.amount}, {name: buyers, fn: count_distinct, of: c.id}]
text_compare: exact
cache: {schedule: "*/15 * * * *", max_age: 1h, keep_generations: 2, key: [country, day], deadline: 120s}
snapshot: {schedule: "0 * * * *", metrics: [revenue, buyers], by: [country], rows: false, keep: {raw: 90d, daily: 3y}}
checks: [{not_empty: true}, {row_drop_max: 30%}, {unique: [country, day]}, {fresh: {col: day, max_age: 26h}, blocking: false}]
"""


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        parse_spec(text, "sales.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_the_written_values_come_back():
    values = dump_spec(parse_spec(SALES))

    assert values == parse(SALES).value
    assert list(values) == list(parse(SALES).value)
    assert dump_spec(spec_of(values)) == values


def test_roles_say_who_sees_it():
    assert parse_spec(SALES).roles == []
    assert parse_spec(SALES + "roles: [finance, ops]\n").roles == ["finance", "ops"]
    assert "roles[0]" in refusal(SALES + "roles: [No!]\n")[0]


def test_defaults_are_not_written():
    assert dump_spec(spec_of({"dataset": "a", "sources": {"o": {"dictionary": "d"}}})) == {
        "dataset": "a", "sources": {"o": {"dictionary": "d"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("table: orders", "tabel: orders", "sales.yaml:5: sources.o.tabel: unknown key 'tabel'; did you mean \"table\"?"),
        ("from: c.country", "fron: c.country", "sales.yaml:10: columns[0].fron: unknown key 'fron'; did you mean \"from\"?"),
        ("fn: sum", "fn: summ", "sales.yaml:16: measures[0].fn: must be"),
        ("decimal(12,2)", "decimil(12,2)", "sales.yaml:12: columns[2].type: unknown type 'decimil(12,2)'; did you mean"),
        ("-90d", "-90x", "sales.yaml:14: filters.all[0].value.relative: '-90x' is not a time from now"),
        ("op: is_null", "op: is_null, value: 1", "sales.yaml:14: filters.all[1].not.any[0]: op: is_null takes no value"),
        ("30%", "130%", "sales.yaml:20: checks[1].row_drop_max: '130%' is not a percentage"),
        ("unique: [country, day]", "uniqe: [country]", "checks[2].uniqe: unknown key"),
        ("name: margin", "name: ctid", "columns[2].name: 'ctid' is a name that PostgreSQL keeps for itself"),
        ("grain: day", "grain: dya", "group_by[1].grain: must be"),
        ("right: o", "right: c", "joins[0]: c is joined with itself"),
        ("daily: 3y", "daily: 3z", "snapshot.keep.daily: "),
        ("fn: sum, of: o.amount", "fn: sum", "measures[0]: fn: sum needs of: a column"),
        ("version: 1", "version: 2", "version: must be 1"),
        ("[[c.id, o.customer_id]]", "[[c.id]]", "joins[0].on[0]: "),
        ("dataset: sales_by_country", "dataset: Sales", "dataset: "),
        ('default: "unknown"', 'default: "a\\0b"', "columns[1].lookup.default: a text must not hold NUL"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(old, new, told):
    assert old in SALES

    assert any(told in each for each in refusal(SALES.replace(old, new)))


def test_a_filter_without_a_fitting_value_is_refused():
    for condition in (
        "{col: a, op: in, value: 1}",
        "{col: a, op: between, value: [1]}",
        "{col: a, op: '='}",
        "{col: a, value: [1]}",
    ):
        assert refusal(f"dataset: a\nsources: {{o: {{dictionary: d}}}}\nfilters: {condition}")


def test_depth_and_size_have_an_end():
    deep: dict = {}
    inner = deep
    for _ in range(100_000):
        inner["not"] = {}
        inner = inner["not"]
    wide = {"all": [{"col": "a", "op": "is_null"}] * 15_000}

    for filters in (deep, wide):
        with pytest.raises(ConfigError, match=r"nested deeper than|more than .* keys"):
            spec_of({"dataset": "a", "sources": {"o": {"dictionary": "d"}}, "filters": filters})


@settings(suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_json_is_a_dataset_or_a_config_error(value):
    with pytest.raises(ConfigError):
        spec_of({"dataset": "a", "sources": value, "filters": value})


def test_problems_of_the_compiler_get_their_lines():
    document = parse(SALES, "sales.yaml")
    error = ConfigError("x")
    error.problems[:] = [type(error.problems[0])("no such column", path="columns[2].formula")]

    assert str(placed(error, document)) == "sales.yaml:12: columns[2].formula: no such column"


def test_conditions_are_found_with_their_places():
    spec = parse_spec(SALES)

    assert [(each.col, path) for each, path in conditions(spec.filters, ("filters",))] == [
        ("o.created", ("filters", "all", 0)),
        ("c.email", ("filters", "all", 1, "not", "any", 0)),
    ]


def test_history_is_kept_for_years():
    assert keep_duration("3y").days == 1095
    assert keep_duration("90d").days == 90


def test_the_schema_describes_each_key():
    schema = DatasetSpec.model_json_schema()

    assert schema["properties"]["sources"]["description"]
    for model in schema["$defs"].values():
        for name, key in model.get("properties", {}).items():
            assert key.get("description"), f"{model['title']}.{name}"
            assert not name.endswith("_")

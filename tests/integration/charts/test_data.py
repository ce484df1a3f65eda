"""Rows of charts: what each form asks of SQL, what it refuses, and that no more than reading is possible."""

import pytest

from dteg.charts.models import MAX_ROWS, ChartSpec, Filter
from dteg.charts.reading import reader
from dteg.charts.service import Charts
from dteg.core.errors import ConfigError, DtegError, NotFoundError
from tests.integration.charts.sales import make_spec

pytestmark = pytest.mark.integration
ODD = 'odd " name; --'


def data_of(project, asked=(), **values):
    charts = Charts.of(project)
    charts.save(ChartSpec.model_validate(make_spec(**values)), replace=True)
    return charts.data(values.get("chart", "by_country"), [Filter.model_validate(each) for each in asked])


def pairs(data, *keys):
    return [tuple(row[key] for key in keys or ("x", "y0")) for row in data.rows]


def test_groups_are_made_in_sql_largest_first(sales_project):
    data = data_of(sales_project, y=[{"fn": "sum", "field": "amount", "unit": "EUR"}, {"fn": "count"}])
    assert [column.key for column in data.columns] == ["x", "y0", "y1"]
    assert sorted(pairs(data, "x", "y1")) == [("(none)", 100), ("DE", 100), ("FR", 100), ("KZ", 100)]
    totals = [row["y0"] for row in data.rows]
    assert totals == sorted(totals, reverse=True)
    assert sum(totals) == 1800


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        ("count", 400),
        ("count_distinct", 10),
        ("sum", 1800),
        ("avg", 4.5),
        ("median", 4.5),
        ("min", 0),
        ("max", 9),
    ],
)
def test_functions(sales_project, fn, expected):
    measure = {"fn": fn} if fn == "count" else {"fn": fn, "field": "amount"}
    data = data_of(sales_project, type="number", x=None, y=[measure])
    assert (data.number.value, data.rows) == (expected, [{"y0": expected}])


def test_times_are_grouped_by_grain_in_utc(sales_project):
    data = data_of(
        sales_project, type="line", x={"field": "ordered_at", "grain": "month"}, y=[{"fn": "count"}]
    )
    assert pairs(data) == [
        ("2026-01-01T00:00:00Z", 124),
        ("2026-02-01T00:00:00Z", 112),
        ("2026-03-01T00:00:00Z", 124),
        ("2026-04-01T00:00:00Z", 40),
    ]
    by_date = data_of(sales_project, type="line", x={"field": "day", "grain": "quarter"}, y=[{"fn": "count"}])
    assert pairs(by_date) == [("2026-01-01T00:00:00Z", 360), ("2026-04-01T00:00:00Z", 40)]


def test_colour_top_and_sort_keep_whole_groups(sales_project):
    data = data_of(sales_project, color={"field": "status"}, top=2, sort="y")
    assert {row["x"] for row in data.rows} == {"(none)", "FR"}
    assert len(data.rows) == 2  # each of these countries has one status only
    whole = data_of(sales_project, x={"field": "status"}, color={"field": "country"}, top=1)
    assert {row["x"] for row in whole.rows} == {"paid"}
    assert {row["c"] for row in whole.rows} == {"FR", "(none)"}
    assert pairs(data_of(sales_project, sort="-x"), "x") == [("KZ",), ("FR",), ("DE",), ("(none)",)]


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ({"field": "country", "op": "=", "value": "DE"}, 100),
        ({"field": "country", "op": "!=", "value": "DE"}, 200),
        ({"field": "country", "op": "in", "value": ["DE", "FR"]}, 200),
        ({"field": "country", "op": "not_in", "value": ["DE", "FR"]}, 200),
        ({"field": "country", "op": "is_null"}, 100),
        ({"field": "country", "op": "not_null"}, 300),
        ({"field": "country", "op": "contains", "value": "d"}, 100),
        ({"field": "amount", "op": ">=", "value": 9}, 40),
        ({"field": "amount", "op": "<", "value": "1.00"}, 40),
        ({"field": "is_late", "op": "=", "value": True}, 134),
        ({"field": "day", "op": "<=", "value": "2026-01-02"}, 8),
        ({"field": "ordered_at", "op": ">", "value": "2026-04-10T00:00:00Z"}, 3),
        ({"field": "ordered_at", "op": "last", "value": "52000w"}, 400),
        ({"field": "country", "op": "=", "value": "'; DROP TABLE x; --"}, 0),
        ({"field": ODD, "op": "=", "value": 'we"ird'}, 400),
    ],
    ids=lambda value: str(value)[:60],
)
def test_filters(sales_project, condition, count):
    chart = {"type": "number", "x": None, "y": [{"fn": "count"}]}
    assert data_of(sales_project, **chart, filters=[condition]).number.value == count
    assert data_of(sales_project, [condition], **chart).number.value == count


def test_a_filter_on_a_column_that_is_not_there_is_left_out_only_when_it_comes_from_outside(sales_project):
    nowhere = {"field": "nowhere", "op": "=", "value": "x"}
    assert data_of(sales_project, [nowhere], type="number", x=None, y=[{"fn": "count"}]).number.value == 400
    with pytest.raises(ConfigError, match="no column 'nowhere'"):
        data_of(sales_project, filters=[nowhere])


def test_names_of_columns_are_quoted(sales_project):
    data = data_of(sales_project, x={"field": ODD}, y=[{"fn": "count_distinct", "field": ODD}])
    assert pairs(data) == [('we"ird', 1)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"x": {"field": "contry"}}, 'did you mean "country"'),
        ({"y": [{"fn": "sum", "field": "country"}]}, "sum needs numbers"),
        ({"x": {"field": "country", "grain": "day"}}, "holds no times"),
        ({"filters": [{"field": "country", "op": "last", "value": "30d"}]}, "is for times"),
        ({"x": {"field": "country); DROP TABLE ds_cache.sales__g1; --"}}, "has no column"),
    ],
)
def test_what_does_not_fit_the_dataset_is_refused_when_it_is_saved(sales_project, values, said):
    with pytest.raises(ConfigError, match=said):
        Charts.of(sales_project).save(ChartSpec.model_validate(make_spec(**values)))
    assert Charts.of(sales_project).charts() == []


def test_a_value_that_does_not_fit_its_column_is_told(sales_project):
    chart = {"type": "number", "x": None, "y": [{"fn": "count"}]}
    for condition in (
        {"field": "amount", "op": "=", "value": "many"},
        {"field": "day", "op": ">", "value": "2026-13-40"},
    ):
        with pytest.raises(ConfigError, match="filter does not fit"):
            data_of(sales_project, [condition], **chart)


def test_a_number_is_compared_with_the_span_before_the_newest_rows(sales_project):
    number = data_of(
        sales_project,
        type="number",
        x=None,
        y=[{"fn": "count"}],
        compare={"field": "ordered_at", "period": "5d"},
    ).number
    assert (number.value, number.before, number.direction) == (20, 20, "same")
    late = data_of(
        sales_project, type="number", x=None, y=[{"fn": "sum", "field": "id", "unit": "pts", "format": "integer"}],
        compare={"field": "day", "period": "1d"},
    ).number  # fmt: skip
    assert (late.value, late.before) == (396 + 397 + 398 + 399, 392 + 393 + 394 + 395)
    assert late.text == "1,590 pts"
    assert late.delta_text == "+16 pts (+1.0%)"


def test_rows_as_they_are_and_at_most_five_thousand_of_them(sales_project, postgres_url):
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE ds_cache.many AS SELECT n, n * 2 AS twice FROM generate_series(1, 6000) AS n"
        )
        connection.execute("CREATE VIEW ds.many AS SELECT * FROM ds_cache.many")
        connection.execute("GRANT SELECT ON ds.many TO dteg_reader")
    points = {"source": {"dataset": "many"}, "type": "point", "x": {"field": "n"}, "y": [{"fn": "value", "field": "twice"}]}  # fmt: skip
    data = data_of(sales_project, **points)
    assert (len(data.rows), data.more, data.rows[0]) == (MAX_ROWS, True, {"x": 1.0, "y0": 2.0})
    table = data_of(sales_project, type="table", x=None, y=None, fields=["id", "is_late"])
    assert [column.name for column in table.columns] == ["id", "is_late"]
    assert len(table.rows) == 400


def test_the_newest_rows_are_kept_of_a_long_series(sales_project, postgres_url):
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE VIEW ds.minutes AS SELECT timestamptz '2026-01-01Z' + n * interval '1 hour' AS at, n"
            " FROM generate_series(0, 5999) AS n"
        )
        connection.execute("GRANT SELECT ON ds.minutes TO dteg_reader")
    data = data_of(
        sales_project, source={"dataset": "minutes"}, type="line", x={"field": "at", "grain": "hour"},
        y=[{"fn": "sum", "field": "n"}],
    )  # fmt: skip
    assert (data.rows[0]["y0"], data.rows[-1]["y0"], data.more) == (1000, 5999, True)


def test_without_data_it_is_said_what_to_do(sales_project):
    charts = Charts.of(sales_project)
    charts.save(ChartSpec.model_validate(make_spec(source={"dataset": "later"})))
    with pytest.raises(NotFoundError, match="dteg dataset refresh later"):
        charts.data("by_country")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM _dteg.charts", "SELECT * FROM ds_cache.sales__g1", "DELETE FROM ds.sales",
        "CREATE TABLE ds.x (a int)", "SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')",
    ],
)  # fmt: skip
def test_the_reader_may_read_datasets_and_nothing_else(sales_project, statement):
    Charts.of(sales_project).charts()
    with pytest.raises(DtegError), reader(sales_project) as connection:
        connection.execute(statement)


def test_a_dataset_that_a_chart_draws_is_not_removed(sales_project, postgres_url):
    import psycopg

    from dteg.core.errors import ConflictError
    from dteg.datasets.service import Datasets
    from dteg.datasets.spec import spec_of

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA IF NOT EXISTS raw; CREATE TABLE raw.orders AS SELECT 1 AS id, 'DE' AS country"
        )
    datasets = Datasets.of(sales_project)
    datasets.save(spec_of({"dataset": "orders", "sources": {"o": {"source": "warehouse", "schema": "raw", "table": "orders"}}}))  # fmt: skip
    datasets.refresh("orders")
    charts = Charts.of(sales_project)
    charts.save(ChartSpec.model_validate(make_spec(source={"dataset": "orders"}, y=[{"fn": "count"}])))
    drawing = charts.drawing("by_country")
    assert pairs(drawing.data) == [("DE", 1)]
    assert drawing.freshness.age_s is not None
    with pytest.raises(ConflictError, match="chart by_country"):
        datasets.remove("orders")
    charts.remove("by_country")
    datasets.remove("orders")

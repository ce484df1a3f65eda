# ruff: noqa: RUF001 - typographic dashes are meant
"""What a chart must say, what it becomes in Vega-Lite, and how numbers and times are written."""

import itertools
import json

import pytest
from pydantic import ValidationError

from dteg.charts.documents import document_of, yaml_text
from dteg.charts.models import ChartData, ChartSpec, ChartType, DataColumn, Filter, Grain, NumberFormat
from dteg.charts.numbers import number_text, with_delta
from dteg.charts.picture import picture_spec
from dteg.charts.reading import as_float, time_label
from dteg.charts.service import chart_text, charts_in
from dteg.charts.vega import drawn_rows, vega_of
from dteg.core.errors import ConfigError
from dteg.core.yaml import parse
from dteg.tokens.visible import Visible
from tests.integration.charts.sales import make_spec

pytestmark = pytest.mark.unit
COLUMNS = [
    DataColumn(key="x", name="country", title="country", kind="text"),
    DataColumn(key="y0", name="sum(amount)", title="amount", kind="number", unit="EUR"),
]


def spec_of(**values):
    return ChartSpec.model_validate(make_spec(**values))


def data_of(columns=COLUMNS, rows=({"x": "DE", "y0": 1},)):
    return ChartData(columns=list(columns), rows=list(rows))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"x": None}, "needs x"),
        ({"y": None}, "needs y"),
        ({"y": [{"fn": "sum"}]}, "sum needs a field"),
        ({"type": "heatmap"}, "needs color"),
        ({"type": "pie", "y": [{"fn": "count"}] * 2}, "one number"),
        ({"y": [{"fn": "count"}] * 2, "color": {"field": "status"}}, "either several numbers or color"),
        ({"type": "map"}, "map: "),
        ({"map": {"layer": "a", "key": "b"}}, "only a map"),
        ({"type": "forecast"}, "needs a metric"),
        ({"source": {"dataset": "sales", "metric": "revenue"}}, "leave x, y"),
        ({"source": {"dataset": "sales", "by": {"a": "b"}}}, "there is no metric"),
        ({"fields": ["id"]}, "belongs to a table"),
        ({"y": [{"fn": "value", "field": "amount"}]}, "for points and lines"),
        ({"compare": {"field": "day", "period": "30d"}}, "belongs to a number"),
        ({"chart": "new"}, "a word of the program"),
        ({"chart": "No"}, "pattern"),
        ({"source": {"dataset": 'x"; DROP'}}, "pattern"),
        ({"filters": [{"field": "a", "op": "in", "value": "x"}]}, "takes a list"),
        ({"filters": [{"field": "a", "op": "last", "value": "soon"}]}, "not a duration"),
        ({"filters": [{"field": "a", "op": "is_null", "value": 1}]}, "takes no value"),
        ({"filters": [{"field": "a", "value": "x\x00"}]}, "NUL"),
        ({"roles": ["Not a role"]}, "pattern"),
        ({"colour": "red"}, "extra"),
    ],
)
def test_what_makes_no_sense_is_told(values, said):
    with pytest.raises(ValidationError, match=said):
        spec_of(**values)


@pytest.mark.parametrize("type_", ["line", "bar", "area", "point", "pie", "heatmap"])
def test_every_form_becomes_a_whole_specification_without_anything_that_loads(type_):
    columns = [*COLUMNS, DataColumn(key="c", name="status", title="status", kind="text")]
    spec = spec_of(type=type_, color=None if type_ == "pie" else {"field": "status"})
    whole = vega_of(spec, data_of(columns))
    text = json.dumps(whole)
    assert whole["data"] == {"name": "rows"}
    assert not any(word in text for word in ('"url"', '"href"', '"expr"', '"signal"', "labelExpr"))
    assert whole["description"] == "Sales by country"


def test_titles_of_users_are_values_and_never_expressions():
    odd = "'] + alert(1) + ['"
    columns = [COLUMNS[0].model_copy(update={"title": odd, "name": odd}), *COLUMNS[1:]]
    whole = vega_of(spec_of(), data_of(columns))
    assert whole["encoding"]["y"]["title"] == odd
    assert odd not in json.dumps({**whole["encoding"]["y"], "title": ""})


def test_several_numbers_lie_below_each_other_with_different_names():
    columns = [*COLUMNS, COLUMNS[1].model_copy(update={"key": "y1"})]
    rows = drawn_rows(spec_of(y=[{"fn": "count"}] * 2), data_of(columns, [{"x": "DE", "y0": 1, "y1": 2}]))
    assert [(row["m"], row["v"]) for row in rows] == [("amount 1", 1), ("amount 2", 2)]
    whole = vega_of(spec_of(y=[{"fn": "count"}] * 2, stack="none"), data_of(columns, rows))
    assert whole["encoding"]["x"]["field"] == "v"
    assert whole["encoding"]["yOffset"] == {"field": "m"}


def test_additions_change_looks_of_the_last_layer():
    spec = ChartSpec.model_validate(
        {"chart": "f", "title": "F", "type": "forecast", "source": {"dataset": "d", "metric": "m"},
         "vega_lite": {"mark": {"color": "red"}}}
    )  # fmt: skip
    keys = ["y0", "mean", "lo80", "hi80", "lo95", "hi95"]
    columns = [DataColumn(key="x", name="slot", title="time", kind="time")]
    columns += [DataColumn(key=key, name=key, title=key, kind="number") for key in keys]
    whole = vega_of(spec, data_of(columns, [{"x": "2026-01-01T00:00:00Z", **dict.fromkeys(keys, 1)}]))
    assert [layer["mark"].get("color") for layer in whole["layer"]] == [None, None, None, "red"]
    assert [layer["encoding"].get("y2", {}).get("field") for layer in whole["layer"]] == [
        "hi95",
        "hi80",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (1234, NumberFormat.PLAIN, "1,234"), (0.12345, NumberFormat.PLAIN, "0.1235"), (12.5, NumberFormat.PLAIN, "12.50"),
        (1234.5, NumberFormat.INTEGER, "1,234"), (0.256, NumberFormat.PERCENT, "25.6%"), (None, NumberFormat.PLAIN, "–"),
        (1_234_567, NumberFormat.COMPACT, "1.23M"), (-2_500, NumberFormat.COMPACT, "-2.5k"), (3, NumberFormat.DECIMAL, "3.00"),
    ],
)  # fmt: skip
def test_numbers(value, form, text):
    assert number_text(value, form) == text


def test_deltas():
    up = with_delta(110.0, 100.0, NumberFormat.PLAIN, "EUR", "than before")
    assert (up.direction, up.delta_text) == ("up", "+10 EUR (+10.0%)")
    assert with_delta(90.0, 100.0, NumberFormat.PLAIN, "", "x").delta_text == "−10 (−10.0%)"
    assert with_delta(1.0, 0.0, NumberFormat.PLAIN, "", "x").delta_text == "+1"
    assert with_delta(None, 1.0, NumberFormat.PLAIN, "", "x").delta_text == ""


def test_times_and_odd_numbers():
    assert time_label("2026-03-01T00:00:00Z", Grain.MONTH) == "Mar 2026"
    assert time_label("2026-05-01T00:00:00Z", Grain.QUARTER) == "Q2 2026"
    assert time_label("infinity", None) == "infinity"
    assert [as_float(value) for value in (float("nan"), float("inf"), "1,234.50", None)] == [
        None,
        None,
        1234.5,
        None,
    ]


def test_yaml_has_the_same_bytes_whatever_a_text_looks_like():
    words = ["no", "on", "1e3", "0x10", "~", "null", "-", "2026-01-01", "a: b", "# x", " pad ", "two\nlines", "ü€", "{x}", "'", '"', "1_0", ".5", "=", "%a", "tab\there", "y", "trail \nx"]  # fmt: skip
    for one, other in itertools.pairwise(words):
        spec = spec_of(title=one.strip() or "x", description=other, roles=[])
        text = chart_text(spec)
        (again,) = charts_in(parse(text))
        assert again == spec, text
        assert chart_text(again) == text


def test_yaml_holds_what_is_not_usual_in_the_order_of_the_model():
    values = document_of(spec_of())
    assert list(values) == ["chart", "version", "title", "source", "type", "x", "y"]
    with pytest.raises(ConfigError, match=r"charts\[1\].*two charts"):
        charts_in(parse(yaml_text({"charts": [values, values]})))


def test_pictures_of_numbers_and_tables_are_text():
    from dteg.charts.models import Drawing, Freshness

    shape = {
        "chart": "x",
        "title": "X",
        "description": "X",
        "rows": [],
        "freshness": Freshness(dataset="d"),
        "spec": {},
    }
    number = with_delta(5.0, 4.0, NumberFormat.PLAIN, "", "than before")
    drawing = Drawing(type=ChartType.NUMBER, data=data_of().model_copy(update={"number": number}), **shape)
    texts = [layer["data"]["values"][0]["t"] for layer in picture_spec(drawing, 300, 200)["layer"]]
    assert texts == ["5", "+1 (+25.0%)", "than before"]
    table = picture_spec(Drawing(type=ChartType.TABLE, data=data_of(), **shape), 400, 300)
    assert [cell["t"] for cell in table["data"]["values"]] == ["country", "amount", "DE", "1 EUR"]


def test_who_sees_what():
    assert Visible().allows([])
    assert not Visible().allows(["finance"])
    assert not Visible(frozenset({"ops"})).allows(["finance"])
    assert Visible(frozenset({"ops", "finance"})).allows(["finance"])
    assert Visible(everything=True).allows(["finance"])


def test_a_filter_reads_what_urls_hold():
    assert Filter.model_validate_json('{"field": "a", "op": "in", "value": [1, true]}').value == [1, True]

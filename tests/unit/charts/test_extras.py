"""What users add to the Vega-Lite of a chart: looks pass, and whatever loads, links or computes is refused."""

import json

import pytest
from pydantic import ValidationError

from dteg.charts.extras import check_extras, merged
from dteg.charts.models import ChartSpec

pytestmark = pytest.mark.unit

GOOD = [
    {},
    {"encoding": {"y": {"scale": {"type": "log", "zero": False}}}},
    {
        "encoding": {
            "x": {"axis": None},
            "color": {"legend": {"orient": "top"}, "scale": {"range": ["#fff", "teal"]}},
        }
    },
    {"mark": {"opacity": 0.5, "interpolate": "step", "strokeDash": [4, 2]}},
    {"encoding": {"y": {"axis": {"format": ",.2f", "title": "Umsatz (€)", "values": [0, 10, 20]}}}},
    {"config": {"range": {"category": ["#123456"]}}, "projection": {"type": "equalEarth"}},
]
HOSTILE = [
    {"data": {"url": "file:///etc/passwd"}},
    {"data": {"url": "http://127.0.0.1:8766/api/v1/tokens"}},
    {"data": {"values": [{"x": 1}]}},
    {"datasets": {"rows": []}},
    {"usermeta": {"embedOptions": {"loader": {"baseURL": "http://evil"}}}},
    {"params": [{"name": "x", "expr": "alert(1)"}]},
    {"params": [{"name": "p", "value": 1}]},
    {"transform": [{"calculate": "1", "as": "x"}]},
    {"transform": [{"lookup": "x", "from": {"data": {"url": "http://evil"}, "key": "k"}}]},
    {"transform": [{"filter": "datum.x > 1"}]},
    {"signals": [{"name": "x", "update": "open('http://evil')"}]},
    {"layer": [{"mark": "image"}]},
    {"mark": {"type": "image", "url": "http://evil/x.png"}},
    {"mark": {"href": "javascript:alert(1)"}},
    {"mark": {"color": {"expr": "alert(1)"}}},
    {"mark": {"color": "url(http://evil)"}},
    {"mark": {"fill": {"gradient": "linear"}}},
    {"mark": {"tooltip": {"signal": "x"}}},
    {"mark": {"description": {"expr": "1"}}},
    {"mark": {"shape": "M0 0L1 1"}},
    {"mark": {"opacity": {"expr": "1"}}},
    {"encoding": {"href": {"field": "x"}}},
    {"encoding": {"url": {"value": "http://evil"}}},
    {"encoding": {"x": {"field": "secret"}}},
    {"encoding": {"x": {"aggregate": "sum"}}},
    {"encoding": {"x": {"condition": {"test": "alert(1)", "value": 1}}}},
    {"encoding": {"x": {"axis": {"labelExpr": "alert(1)"}}}},
    {"encoding": {"x": {"axis": {"title": {"expr": "1"}}}}},
    {"encoding": {"x": {"axis": {"labelColor": {"condition": {"test": "1", "value": "red"}}}}}},
    {"encoding": {"x": {"scale": {"domain": {"param": "x"}}}}},
    {"encoding": {"x": {"scale": {"domain": [{"expr": "1"}]}}}},
    {"encoding": {"x": {"scale": {"range": ["url(#a)"]}}}},
    {"encoding": {"color": {"scale": {"scheme": {"name": "x", "extent": [0, 1]}}}}},
    {"encoding": {"color": {"legend": {"symbolType": "M0,0"}}}},
    {"encoding": {"tooltip": {"field": "x"}}},
    {"encoding": {"x": {"axis": {"format": "<img src=x>"}}}},
    {"encoding": {"x": {"axis": {"formatType": "evil"}}}},
    {"encoding": {"x": {"title": "a" * 201}}},
    {"encoding": {"x": {"axis": {"values": {"signal": "x"}}}}},
    {"config": {"customFormatTypes": True}},
    {"config": {"signals": [{"name": "x"}]}},
    {"config": {"axis": {"labelExpr": "1"}}},
    {"projection": {"type": "mercator", "fit": {"signal": "x"}}},
    {"projection": {"type": {"expr": "x"}}},
    {"autosize": "none"},
    {"$schema": "http://evil"},
    {"name": "x", "__proto__": {"x": 1}},
    {"mark": {"__proto__": {"polluted": True}}},
    {"mark": {"constructor": {"prototype": 1}}},
    {"mark": "image"},
    {"encoding": []},
    {"encoding": {"x": None}},
    {"mark": {"opacity": float("nan")}},
    {"mark": {"opacity": 7}},
    {"mark": {"strokeWidth": 1e300}},
    {1: {"x": 1}},
]


@pytest.mark.parametrize("extras", GOOD, ids=str)
def test_looks_pass(extras):
    assert check_extras(extras) == extras


@pytest.mark.parametrize("extras", HOSTILE, ids=lambda value: str(value)[:80])
def test_everything_else_is_refused_with_its_place(extras):
    with pytest.raises(ValueError, match="vega_lite"):
        check_extras(extras)
    with pytest.raises(ValidationError):
        ChartSpec.model_validate(
            {"chart": "x", "title": "X", "source": {"dataset": "d"}, "type": "table", "vega_lite": extras}
        )


def test_the_corpus_is_large_enough_and_different():
    assert len({json.dumps(each, default=str, sort_keys=True) for each in HOSTILE[:-1]}) >= 50


def test_deep_nesting_ends():
    deep = {"encoding": {"x": {"axis": {}}}}
    place = deep["encoding"]["x"]["axis"]
    for _ in range(5000):
        place["values"] = [{}]
        place = place["values"][0]
    with pytest.raises(ValueError, match="not allowed"):
        check_extras(deep)


def test_additions_win_and_leave_the_rest():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "e": 4}) == {
        "a": {"b": 9, "c": 2},
        "d": 3,
        "e": 4,
    }

"""Dashboards by themselves: the grid, the filters, and pictures put into one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dteg.charts.models import Op
from dteg.core.errors import ConfigError
from dteg.core.yaml import parse
from dteg.dashboards.models import COLUMNS, DashboardFilter, DashboardSpec, Tile, chosen, settled
from dteg.dashboards.picture import nested
from dteg.dashboards.service import bundle_text, dashboards_in

pytestmark = pytest.mark.unit


def tile(x=0, y=0, w=6, h=4, **values):
    return {"x": x, "y": y, "w": w, "h": h, **(values or {"chart": "sales"})}


def board(*tiles, **values):
    return DashboardSpec.model_validate({"dashboard": "d", "title": "D", "tiles": list(tiles), **values})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tiles": [tile(), tile(x=3)]}, "tiles 1 and 2 lie on each other"),
        ({"tiles": [tile(x=8)]}, "ends in column 14"),
        ({"tiles": [tile(chart="a", text="b")]}, "either chart or text"),
        ({"tiles": [{"x": 0, "y": 0, "w": 1, "h": 1}]}, "either chart or text"),
        ({"refresh": "1s"}, "at least 10s"),
        ({"refresh": "often"}, "not a duration"),
        ({"dashboard": "export"}, "a word of the program"),
        ({"filters": [{"field": "a", "type": "period", "default": ["soon"]}]}, "not a duration"),
        ({"roles": ["A B"]}, "pattern"),
    ],
)
def test_what_makes_no_sense_is_told(values, said):
    with pytest.raises(ValidationError, match=said):
        board(**values) if "tiles" not in values else board(*values.pop("tiles"), **values)


def test_filters_become_conditions():
    def asked(kind, *values):
        return [(each.op, each.value) for each in DashboardFilter(field="a", type=kind).conditions(values)]

    assert asked("choice", "x", "", "y") == [(Op.IN, ["x", "y"])]
    assert asked("choice", "") == []
    assert asked("range", "1..5") == [(Op.GE, "1"), (Op.LE, "5")]
    assert asked("range", "..5") == [(Op.LE, "5")]
    assert asked("range", "1", "2") == [(Op.GE, "1"), (Op.LE, "2")]
    assert asked("period", "30d") == [(Op.LAST, "30d")]
    assert asked("text", "abc") == [(Op.CONTAINS, "abc")]


def test_defaults_hold_until_somebody_chooses_even_nothing():
    spec = board(filters=[{"field": "a", "default": ["x"]}, {"field": "b", "type": "period"}])
    assert [each.value for each in chosen(spec, {})] == [["x"]]
    assert chosen(spec, {"f0": [""]}) == []
    assert [each.value for each in chosen(spec, {"f0": ["y"], "f1": ["7d"]})] == [["y"], "7d"]
    with pytest.raises(ConfigError, match="does not fit"):
        chosen(spec, {"f1": ["'; DROP"]})


PLACES = st.builds(
    lambda x, y, w, h: Tile.model_validate(tile(x=min(x, COLUMNS - w), y=y, w=w, h=h)),
    st.integers(0, 11), st.integers(0, 30), st.integers(1, 12), st.integers(1, 6),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(PLACES, max_size=12))
def test_tiles_that_give_way_lie_apart_and_keep_columns_and_size(tiles):
    done = settled(tiles)
    assert [(each.x, each.w, each.h) for each in done] == [(each.x, each.w, each.h) for each in tiles]
    assert not any(one.overlaps(other) for n, one in enumerate(done) for other in done[:n])
    assert settled(done) == done
    assert all(after.y >= before.y for after, before in zip(done, tiles, strict=True))


def test_yaml_has_the_same_bytes():
    spec = board(
        tile(),
        tile(x=6, text="# Hello\n\nyes: *no*"),
        filters=[{"field": "on", "default": ["no", "1"]}],
        roles=["ops"],
    )
    text = bundle_text([spec], [])
    assert bundle_text(dashboards_in(parse(text)), []) == text


def test_a_nested_picture_has_ids_of_its_own():
    svg = '<svg xmlns="x" width="30" height="20"><clipPath id="c0"/><g clip-path="url(#c0)"><use href="#c0"/></g></svg>'
    inside = nested(svg, "t1-", 5, 6, 15, 10)
    assert inside.count("t1-c0") == 3
    assert 'viewBox="0 0 30 20"' in inside

"""The same suite for charts, areas and dashboards here and through a studio."""

import json

import pytest

from dteg.charts.layers import NewGeoLayer
from dteg.charts.models import ChartSpec, Filter
from dteg.charts.remote import RemoteCharts
from dteg.charts.service import Charts
from dteg.core.errors import ConfigError, ConflictError, InputError, NotFoundError
from dteg.dashboards.models import DashboardSpec
from dteg.dashboards.remote import RemoteDashboards
from dteg.dashboards.service import Dashboards
from tests.integration.charts.sales import SQUARES, make_spec

pytestmark = pytest.mark.integration
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(params=["library", "studio"])
def where(request, sales_project):
    """Makes a service: here, or through a studio over the same project."""
    if request.param == "library":
        return lambda local, remote: local.of(sales_project)
    running = request.getfixturevalue("studio")
    return lambda local, remote: remote(running.client)


@pytest.fixture
def charts(where):
    return where(Charts, RemoteCharts)


@pytest.fixture
def dashboards(where):
    return where(Dashboards, RemoteDashboards)


def spec_of(**values):
    return ChartSpec.model_validate(make_spec(**values))


def board_of(**values):
    tiles = [
        {"chart": "by_country", "x": 0, "y": 0, "w": 6, "h": 4},
        {"text": "**Hello**", "x": 6, "y": 0, "w": 6, "h": 1},
    ]
    return DashboardSpec.model_validate({"dashboard": "sales", "title": "Sales", "tiles": tiles, **values})


def test_chart_from_beginning_to_end(charts):
    assert charts.charts() == []
    saved = charts.save(spec_of())
    assert (saved.slug, saved.title) == ("by_country", "Sales by country")
    assert charts.get("by_country").spec == spec_of()
    with pytest.raises(ConflictError, match="replace"):
        charts.save(spec_of())
    assert charts.save(spec_of(title="Other"), replace=True).title == "Other"
    only = [Filter(field="country", value="DE")]
    assert [row["x"] for row in charts.data("by_country", only).rows] == ["DE"]
    drawing = charts.drawing("by_country", only)
    assert drawing.spec["mark"]["type"] == "bar"
    assert len(drawing.rows) == 1
    assert charts.preview(spec_of(type="pie")).spec["mark"]["type"] == "arc"
    charts.remove("by_country")
    assert charts.charts() == []


def test_refusals_are_the_same_errors(charts):
    charts.save(spec_of())
    for ask in (charts.get, charts.data, charts.remove, charts.export, charts.png):
        with pytest.raises(NotFoundError, match='did you mean "by_country"'):
            ask("by_contry")
    with pytest.raises(ConfigError, match="no column 'nowhere'"):
        charts.save(spec_of(chart="other", x={"field": "nowhere"}))
    with pytest.raises(ConfigError, match="filter does not fit"):
        charts.data("by_country", [Filter(field="day", value="soon")])


def test_chart_as_yaml(charts):
    charts.save(spec_of())
    text = charts.export("by_country")
    charts.remove("by_country")
    assert [chart.slug for chart in charts.apply(text)] == ["by_country"]
    assert charts.export("by_country") == text
    with pytest.raises(ConfigError, match="colour"):
        charts.apply(text.replace("x:", "colour:"))


def test_pictures(charts):
    charts.save(spec_of())
    png = charts.png("by_country", 300, 200)
    assert png.startswith(PNG)
    width = int.from_bytes(png[16:20])
    assert 600 <= width <= 680
    svg = charts.svg("by_country", 300, 200)
    assert svg.startswith("<svg")
    assert "Sales by country" in svg


def test_areas_and_their_map(charts):
    made = charts.layers.add(NewGeoLayer(slug="squares", title="Squares"), json.dumps(SQUARES).encode())
    assert (made.feature_count, made.properties, made.bbox) == (3, ["iso", "title"], [0.0, 0.0, 30.0, 10.0])
    with pytest.raises(ConflictError):
        charts.layers.add(NewGeoLayer(slug="squares"), json.dumps(SQUARES).encode())
    with pytest.raises(InputError, match="FeatureCollection"):
        charts.layers.add(NewGeoLayer(slug="other"), b'{"type": "Topology"}')
    charts.save(spec_of(chart="world", type="map", map={"layer": "squares", "key": "iso"}))
    drawing = charts.drawing("world")
    assert [(each["properties"]["x"], each["properties"]["y0"]) for each in drawing.rows] == [("DE", 400), ("FR", 500), ("XX", None)]  # fmt: skip
    assert "KZ" in drawing.data.note
    with pytest.raises(ConflictError, match="world"):
        charts.layers.remove("squares")
    charts.remove("world")
    charts.layers.remove("squares")
    assert charts.layers.layers() == []


def test_dashboard_from_beginning_to_end(dashboards, charts):
    with pytest.raises(ConfigError, match="no chart 'by_country'"):
        dashboards.save(board_of())
    charts.save(spec_of())
    filters = [{"field": "country", "default": ["DE"]}, {"field": "day", "type": "range"}]
    dashboards.save(board_of(filters=filters))
    assert [board.slug for board in dashboards.dashboards()] == ["sales"]
    assert [row["x"] for row in dashboards.tile("sales", 0).rows] == ["DE"]
    assert len(dashboards.tile("sales", 0, {"f0": ["FR", "KZ"]}).rows) == 2
    assert len(dashboards.tile("sales", 0, {"f0": [""], "f1": ["2026-01-02..2026-01-02"]}).rows) == 4
    with pytest.raises(NotFoundError):
        dashboards.tile("sales", 1)
    with pytest.raises(ConfigError, match="does not fit"):
        dashboards.tile("sales", 0, {"f1": ["soon.."]})
    (age,) = dashboards.freshness("sales")
    assert (age.dataset, age.age_s) == ("sales", None)
    with pytest.raises(ConflictError, match="is on: sales"):
        charts.remove("by_country")
    assert dashboards.png("sales", 600).startswith(PNG)
    dashboards.remove("sales")
    assert dashboards.dashboards() == []
    assert [chart.slug for chart in charts.charts()] == ["by_country"]


def test_an_import_is_all_or_nothing(dashboards, charts):
    charts.save(spec_of())
    dashboards.save(board_of())
    text = dashboards.export("sales")
    assert dashboards.export() == text
    dashboards.remove("sales")
    charts.remove("by_country")
    with pytest.raises(ConfigError, match="which is no chart here"):
        dashboards.import_(text.replace("charts:\n  - chart: by_country", "charts:\n  - chart: other_name"))
    assert charts.charts() == []
    done = dashboards.import_(text)
    assert (done.dashboards, done.charts, done.missing) == (["sales"], ["by_country"], [])
    assert dashboards.export("sales") == text

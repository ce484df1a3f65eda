"""From one hub to another: what is exported, imported into an empty one and exported there has the same bytes."""

import json

import pytest

from dteg.charts.layers import NewGeoLayer
from dteg.charts.models import ChartSpec
from dteg.charts.service import Charts
from dteg.core.errors import NotFoundError
from dteg.core.project import Project
from dteg.dashboards.models import DashboardSpec
from dteg.dashboards.service import Dashboards
from dteg.testing.servers import database
from tests.integration.charts.sales import SQUARES, make_sales, make_spec

pytestmark = pytest.mark.integration
CHARTS = (
    make_spec("revenue", type="area", x={"field": "ordered_at", "grain": "month"}, color={"field": "status"}, stack="normalize"),
    make_spec("world", type="map", map={"layer": "squares", "key": "iso"}, roles=["finance", "ops"]),
    make_spec("total", type="number", x=None, compare={"field": "day", "period": "30d"}, filters=[{"field": "country", "op": "in", "value": ["DE", "no"]}, {"field": "amount", "op": ">", "value": 1.5}]),
    make_spec("looks", vega_lite={"mark": {"opacity": 0.5}, "encoding": {"y": {"scale": {"zero": False, "domain": [0, 10.5, 1e9]}}}}),
    {"chart": "later", "title": 'Forecast: 1e3 "quoted"\nand more', "type": "forecast", "source": {"dataset": "sales", "metric": "revenue", "by": {"country": "DE", "b": None}}},
)  # fmt: skip
BOARDS = (
    {"dashboard": "sales", "title": "Sales", "refresh": "5m", "roles": ["finance"],
     "filters": [{"field": "day", "type": "period", "default": ["30d"]}, {"field": "country", "default": ["DE", "off", "1"]}],
     "tiles": [{"chart": name, "x": 0, "y": 4 * n, "w": 6, "h": 4} for n, name in enumerate(["world", "revenue", "total", "looks", "later"])]
     + [{"text": "# Hi\n\n* a: b\n", "x": 6, "y": 0, "w": 6, "h": 2, "title": "~"}]},
    {"dashboard": "a_second_one", "title": "yes", "tiles": [{"chart": "revenue", "x": 11, "y": 0, "w": 1, "h": 1}]},
)  # fmt: skip


def test_export_import_export_is_byte_identical_on_an_empty_second_hub(
    studio_project, postgres_url, postgres_server, tmp_path, monkeypatch
):
    make_sales(postgres_url)
    charts, first = Charts.of(studio_project), Dashboards.of(studio_project)
    charts.layers.add(NewGeoLayer(slug="squares"), json.dumps(SQUARES).encode())
    for values in CHARTS:
        charts.save(ChartSpec.model_validate(values))
    for values in BOARDS:
        first.save(DashboardSpec.model_validate(values))
    one, all_ = first.export("sales"), first.export()
    with database(postgres_server) as url:
        monkeypatch.setenv("DTEG_POSTGRES_URL", url)
        (tmp_path / "second" / "pipelines").mkdir(parents=True)
        second = Dashboards.of(Project(tmp_path / "second"))
        done = second.import_(one)
        assert (done.dashboards, sorted(done.charts)) == (["sales"], sorted(each["chart"] for each in CHARTS))
        assert done.missing == ["dataset sales", "geo layer squares"]
        assert second.export("sales") == one
        second.import_(all_)
        assert second.export() == all_
        assert second.charts.get("total").spec == ChartSpec.model_validate(CHARTS[2])
        with pytest.raises(NotFoundError, match="no dataset 'sales' with data"):
            second.tile("sales", 1)

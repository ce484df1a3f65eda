"""`dteg chart` and `dteg dashboard`: files in, pictures and tables out."""

import json

import pytest

from dteg.cli.main import run_app
from tests.integration.charts.sales import SQUARES

pytestmark = pytest.mark.integration
CHART = """\
chart: revenue
title: Revenue
source: {dataset: sales}
type: bar
x: {field: country}
y: [{field: amount, unit: EUR}]
"""
BOARD = """\
dashboard: sales
title: Sales
tiles:
  - {chart: revenue, x: 0, y: 0, w: 6, h: 4}
"""


@pytest.fixture
def folder(sales_project, monkeypatch):
    monkeypatch.chdir(sales_project.root)
    for name, text in (("charts", CHART), ("dashboards", BOARD)):
        (sales_project.root / name).mkdir()
        (sales_project.root / name / "one.yaml").write_text(text)
    return sales_project.root


def run(capsys, *arguments, code=0):
    assert run_app(list(arguments)) == code
    told = capsys.readouterr()
    return told.out if code == 0 else told.err


def test_from_files_to_pictures(folder, capsys):
    assert run(capsys, "chart", "apply") == "revenue: bar of sales\n"
    assert "FR" in run(capsys, "chart", "show", "revenue")
    assert run(capsys, "chart", "list").splitlines()[1].split() == ["revenue", "bar", "sales", "-", "Revenue"]
    assert run(capsys, "dashboard", "import") == "dashboard sales\n"
    assert "revenue.png" in run(capsys, "chart", "png", "revenue")
    assert (folder / "revenue.png").read_bytes().startswith(b"\x89PNG")
    run(capsys, "chart", "svg", "revenue", "--to", "x.svg", "--width", "300")
    assert (folder / "x.svg").read_text().startswith("<svg")
    run(capsys, "dashboard", "png", "sales", "--width", "600")
    assert (folder / "sales.png").read_bytes().startswith(b"\x89PNG")
    text = run(capsys, "dashboard", "export", "sales")
    assert "is on: sales" in run(capsys, "chart", "remove", "revenue", code=1)
    run(capsys, "dashboard", "remove", "sales")
    run(capsys, "chart", "remove", "revenue")
    (folder / "all.yaml").write_text(text)
    assert run(capsys, "dashboard", "import", "all.yaml") == "dashboard sales\nchart revenue\n"
    assert run(capsys, "dashboard", "export") == text
    assert json.loads(run(capsys, "dashboard", "list", "--json"))[0]["spec"]["title"] == "Sales"


def test_what_is_wrong_in_a_file_is_told_with_its_line(folder, capsys):
    (folder / "bad.yaml").write_text(CHART.replace("type: bar", "type: bra"))
    assert "bad.yaml:4: type" in run(capsys, "chart", "apply", "bad.yaml", code=2)
    (folder / "bad.yaml").write_text("dashboards:\n  - dashboard: x\n    title: X\n    tils: []\n")
    assert "bad.yaml:4: dashboards[0].tils" in run(capsys, "dashboard", "import", "bad.yaml", code=2)
    assert "cannot be read" in run(capsys, "chart", "apply", "nowhere.yaml", code=2)
    (folder / "bad.yaml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in run(capsys, "chart", "apply", "bad.yaml", code=2)


def test_areas(folder, capsys):
    (folder / "squares.geojson").write_text(json.dumps(SQUARES))
    told = run(capsys, "chart", "layer", "add", "squares", "squares.geojson")
    assert told == "squares: 3 areas, 15 points of 15\n  keys: iso, title\n"
    assert "squares" in run(capsys, "chart", "layer", "list")
    (folder / "bad.geojson").write_text("{}")
    assert "bad.geojson: no GeoJSON: expected an object of type FeatureCollection" in run(
        capsys, "chart", "layer", "add", "bad", "bad.geojson", code=2
    )
    assert "no slug" in run(capsys, "chart", "layer", "add", "No", "squares.geojson", code=2)
    assert run(capsys, "chart", "layer", "remove", "squares") == "removed squares\n"

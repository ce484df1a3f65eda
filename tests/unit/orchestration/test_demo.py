"""The order of the demo, and the home of its runs."""

import os
from types import SimpleNamespace

import pytest

from dteg.core.identifiers import TableName
from dteg.core.project import Project
from orchestration.demo import Stage, in_order, told_checks
from orchestration.instance import prepare_home

pytestmark = pytest.mark.unit


def make_pipeline(name, *, loads, after=()):
    targets = [TableName.parse(table) for table in loads]
    return SimpleNamespace(name=name, targets=lambda: targets, spec=SimpleNamespace(depends_on=list(after)))


def test_pipelines_run_after_those_that_load_what_they_need():
    pipelines = [
        make_pipeline("departures", loads=["raw.departures"], after=["raw.flights"]),
        make_pipeline("flights", loads=["raw.flights"], after=["raw.planes", "other.table"]),
        make_pipeline("reference", loads=["raw.planes"], after=["raw.planes"]),
    ]
    assert [pipeline.name for pipeline in in_order(pipelines)] == ["reference", "flights", "departures"]


def test_stage_with_a_warning_still_succeeded():
    assert Stage("flights", failed=[("raw.flights: range_distance: 1 row", False)]).succeeded
    assert not Stage("flights", errors=["no connection"]).succeeded


def test_warnings_are_not_told_as_failures():
    stages = [
        Stage("a", passed=3, failed=[("x", False)]),
        Stage("b", passed=1, failed=[("y", True), ("z", True)]),
    ]
    assert told_checks(stages) == "4 passed, 2 failed, 1 warning"
    assert told_checks([Stage("c")]) == "0 passed"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for name in ("DTEG_HOME", "DAGSTER_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # so that what prepare_home sets is undone
    return Project(tmp_path)


def test_home_of_the_project_follows_its_settings(project, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(project.state_dir / "dagster_home"))
    home = prepare_home(project)
    assert "telemetry" in (home / "dagster.yaml").read_text()
    (project.root / "dagster.yaml").write_text("telemetry: {enabled: false}\n# mine\n")
    assert prepare_home(project) == home
    assert "# mine" in (home / "dagster.yaml").read_text()
    assert os.environ["DAGSTER_HOME"] == str(home)
    assert os.environ["DTEG_HOME"] == str(project.root)


def test_settings_of_a_home_that_the_user_named_are_left_alone(project, tmp_path, monkeypatch):
    named = tmp_path / "named"
    named.mkdir()
    (named / "dagster.yaml").write_text("# theirs\n")
    (project.root / "dagster.yaml").write_text("# ours\n")
    monkeypatch.setenv("DAGSTER_HOME", str(named))
    assert prepare_home(project) == named
    assert (named / "dagster.yaml").read_text() == "# theirs\n"

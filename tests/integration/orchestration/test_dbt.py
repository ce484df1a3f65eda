"""The dbt project as assets."""

import importlib.util
import shutil
from pathlib import Path

import dagster as dg
import pytest

from dteg.core.project import Project

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# Not imported here: that takes 3 s, and each process of a run collects this file.
if importlib.util.find_spec("dagster_dbt") is None:
    pytest.skip("dbt is not installed", allow_module_level=True)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def dbt():
    from orchestration.lib import dbt

    return dbt


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("dbt")
    shutil.copytree(
        ROOT / "dbt_project", root / "dbt_project", ignore=shutil.ignore_patterns("target", "logs")
    )
    (root / "pipelines").mkdir()
    (root / "pipelines" / "nightly.yaml").write_text(
        "pipeline:\n  name: nightly\n  schedule: 0 3 * * *\n  steps:\n"
        "    - transform: {type: dbt, select: +carrier_punctuality}\n"
    )
    (root / "pipelines" / "broken.yaml").write_text("pipeline: 1\n")
    return Project(root)


@pytest.fixture(scope="module", autouse=True)
def warehouse_that_is_not_there():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DTEG_POSTGRES_URL", "postgresql://nobody@127.0.0.1:9/dteg")
        for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE"):
            patch.setenv(f"DTEG_PG_{name}", "1")  # so that what dbt_definitions sets is undone
        for name in ("PROFILES_DIR", "TARGET_PATH", "LOG_PATH"):
            patch.setenv(f"DBT_{name}", "unset")
        yield


@pytest.fixture(scope="module")
def definitions(dbt, project):
    return dbt.dbt_definitions(project)


def test_models_join_the_tables_of_the_pipelines(definitions):
    graph = definitions.get_repository_def().asset_graph
    staging = graph.get(dg.AssetKey(["staging", "stg_flights__flights"]))
    assert staging.parent_keys == {dg.AssetKey(["raw", "flights"])}
    assert staging.group_name == "staging"
    mart = graph.get(dg.AssetKey(["marts", "carrier_punctuality"]))
    assert mart.group_name == "marts"
    assert {key.name for key in mart.check_keys} >= {"unique_carrier_punctuality_carrier_id"}
    dashboard = graph.get(dg.AssetKey(["exposures", "carrier_punctuality_dashboard"]))
    assert mart.key in dashboard.parent_keys
    assert not dashboard.is_materializable


def test_pipeline_of_models_alone_keeps_its_schedule(definitions):
    (schedule,) = definitions.get_repository_def().schedule_defs
    assert (schedule.name, schedule.cron_schedule) == ("nightly_schedule", "0 3 * * *")
    keys = {key.path[-1] for key in definitions.resolve_job_def("nightly").asset_layer.executable_asset_keys}
    assert "carrier_punctuality" in keys
    assert "plane_utilisation" not in keys


def test_models_follow_their_sources_by_a_running_sensor(definitions):
    repository = definitions.get_repository_def()
    (sensor,) = repository.sensor_defs
    assert (sensor.name, sensor.default_status) == ("follow_sources", dg.DefaultSensorStatus.RUNNING)
    graph = repository.asset_graph
    assert all(graph.get(key).automation_condition for key in graph.materializable_asset_keys)


def test_models_wait_while_a_blocking_check_of_their_source_fails(definitions):
    source = dg.AssetKey(["raw", "flights"])

    @dg.asset(key=source, check_specs=[dg.AssetCheckSpec("good", asset=source, blocking=True)])
    def flights(context):
        yield dg.MaterializeResult(
            check_results=[dg.AssetCheckResult(passed=context.run.tags["good"] == "yes")]
        )

    merged = dg.Definitions.merge(definitions, dg.Definitions(assets=[flights]))
    model = dg.AssetKey(["staging", "stg_flights__flights"])
    job = merged.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization(model))

        def load(good, cursor):
            job.execute_in_process(
                instance=instance, asset_selection=[source], tags={"good": good}, raise_on_error=False
            )
            asked = dg.evaluate_automation_conditions(
                merged, instance, asset_selection=dg.AssetSelection.assets(model), cursor=cursor
            )
            return asked, asked.get_num_requested(model)

        start = dg.evaluate_automation_conditions(
            merged, instance, asset_selection=dg.AssetSelection.assets(model)
        )
        refused, requested = load("no", start.cursor)
        assert requested == 0
        _, requested = load("yes", refused.cursor)
        assert requested == 1


def test_project_is_parsed_again_only_after_a_change(dbt, project, definitions, monkeypatch):
    asked = []
    real = dbt.DbtCli.cli
    monkeypatch.setattr(
        dbt.DbtCli, "cli", lambda self, args, **options: asked.append(args) or real(self, args, **options)
    )
    first = dbt.parsed_project(project)
    (project.dbt_dir / "README.md").write_text("changed")
    (project.dbt_dir / "notes.txt").write_text("not read by dbt")
    assert asked == []
    model = project.dbt_dir / "models" / "staging" / "flights" / "stg_flights__airlines.sql"
    model.write_text(model.read_text() + "\n-- changed\n")
    second = dbt.parsed_project(project)
    assert [args[0] for args in asked] == ["parse"]
    assert second.manifest_path != first.manifest_path


def test_project_without_dbt_is_an_empty_location(dbt, tmp_path):
    assert not dbt.dbt_definitions(Project(tmp_path)).get_repository_def().asset_graph.get_all_asset_keys()

"""A folder of pipelines: what each file becomes, and that a broken one hides nothing."""

from datetime import timedelta

import dagster as dg
import pytest

pytestmark = pytest.mark.integration


def graph_of(definitions):
    return definitions.get_repository_def().asset_graph


def keys_of(definitions):
    return {key.to_user_string() for key in graph_of(definitions).get_all_asset_keys()}


def broken_message(definitions, stem, instance):
    """Run the stand-in of a broken file and return what its check says."""
    job = definitions.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["dteg_config", stem])
    result = job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False)
    assert not result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == ("valid_config", False)
    return evaluation.description


def test_broken_file_becomes_a_failing_check_and_the_others_load(folder, instance):
    folder.pipeline("good")
    folder.pipeline("also_good", extra="schedule: '0 6 * * *'")
    folder.write("bad", "pipeline:\n  name: bad\n  shedule: '0 6 * * *'\n")
    folder.write("torn", "pipeline: [")
    definitions = folder.definitions()
    assert keys_of(definitions) == {"raw/good", "raw/also_good", "dteg_config/bad", "dteg_config/torn"}
    assert [schedule.name for schedule in definitions.get_repository_def().schedule_defs] == [
        "also_good_schedule"
    ]
    message = broken_message(definitions, "bad", instance)
    assert message.startswith("pipelines/bad.yaml:")
    assert "shedule" in message
    assert "did you mean" in message
    node = graph_of(definitions).get(dg.AssetKey(["dteg_config", "bad"]))
    assert node.group_name == "configuration"
    assert message in node.description


def test_check_of_a_broken_file_runs_by_itself_once(folder, instance):
    folder.pipeline("good")
    folder.write("bad", "pipeline: {}\n")
    definitions = folder.definitions()
    (sensor,) = definitions.get_repository_def().sensor_defs
    assert (sensor.name, sensor.default_status) == ("check_configuration", dg.DefaultSensorStatus.RUNNING)
    first = dg.evaluate_automation_conditions(definitions, instance)
    assert [result.key for result in first.results if result.true_subset.size] == [
        dg.AssetCheckKey(dg.AssetKey(["dteg_config", "bad"]), "valid_config")
    ]
    broken_message(definitions, "bad", instance)
    assert dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor).total_requested == 0


def test_repaired_file_asks_for_a_reload(folder, instance):
    folder.write("bad", "pipeline: {}\n")
    definitions = folder.definitions()
    folder.pipeline("bad")
    assert "reload this code location" in broken_message(definitions, "bad", instance)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"name": "a"}, {"name": "b", "table": "raw.a"}, "raw.a is loaded by pipelines/a.yaml already"),
        (
            {"name": "a", "extra": "depends_on: [raw.b]"},
            {"name": "b", "extra": "depends_on: [raw.a]"},
            "makes a circle",
        ),
        ({"name": "a"}, {"name": "b", "extra": "owners: [nobody]"}, "owner"),
        ({"name": "a"}, {"name": "b", "extra": "tags: {'not a tag': x}"}, "tag"),
        ({"name": "a"}, {"name": "b", "extra": "freshness: {max_age: 1h, warn_age: 2h}"}, "warn"),
    ],
)
def test_file_that_dagster_or_the_others_refuse_is_broken_alone(folder, instance, first, second, said):
    folder.pipeline(**first)
    folder.pipeline(**second)
    definitions = folder.definitions()
    assert keys_of(definitions) >= {"raw/a", "dteg_config/b"}
    assert said in broken_message(definitions, "b", instance)


def test_name_of_another_pipeline_is_refused(folder, instance):
    folder.pipeline("a")
    text = folder.pipeline("b").read_text()
    folder.write("b", text.replace("name: b", "name: a"))
    assert "name 'a' is taken by pipelines/a.yaml" in broken_message(folder.definitions(), "b", instance)


def test_empty_folder_is_a_valid_location(folder):
    assert keys_of(folder.definitions()) == set()


def test_asset_shows_what_the_file_says(folder):
    folder.pipeline(
        "events",
        extra="""
        description: All events.
        owners: [team:data]
        tags: {domain: web, pool: warehouse}
        depends_on: [raw.users, raw.events]
        freshness: {max_age: 50h, warn_age: 26h}
        quality: {validation_rules: [{type: unique, columns: [id]}, {type: range, column: id, min: 1, severity: warn}]}
        """,
    )
    graph = graph_of(folder.definitions())
    node = graph.get(dg.AssetKey(["raw", "events"]))
    assert node.group_name == "events"
    assert node.description == "All events."
    assert node.kinds == {"source", "sink"}
    assert node.owners == ["team:data"]
    assert node.tags["domain"] == "web"
    assert node.pools == {"warehouse"}
    assert node.metadata["dagster/table_name"] == "raw.events"
    assert {key.to_user_string() for key in node.parent_keys} == {"raw/users"}  # not itself
    assert node.freshness_policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
    )
    checks = {key.name: graph.get_check_spec(key).blocking for key in node.check_keys}
    assert checks == {"unique_id": True, "range_id": False}


def test_flows_are_steps_of_one_job_in_the_order_of_the_file(folder, instance):
    flow = "extract: {{type: source, config: {{streams: {{{0}: {{types: {{id: bigint}}, rows: []}}}}}}}}"
    load = "load: {{type: sink, config: {{table: 'raw.{{stream}}', store: {0}}}}}"
    steps = "".join(
        f"    - {flow.format(name)}\n    - {load.format(folder.store)}\n" for name in ("zebra", "ant")
    )
    folder.write("two", f"pipeline:\n  name: two\n  depends_on: [raw.zebra]\n  steps:\n{steps}")
    definitions = folder.definitions()
    job = definitions.resolve_job_def("two")
    assert {node.name for node in job.nodes} == {"two__load_1", "two__load_2"}
    assert {
        key.to_user_string() for key in graph_of(definitions).get(dg.AssetKey(["raw", "ant"])).parent_keys
    } == {"raw/zebra"}
    assert job.execute_in_process(instance=instance).success
    assert folder.source.reads == ["zebra", "ant"]


def test_schedule_has_the_time_and_zone_of_the_file(folder):
    folder.pipeline("daily", extra="schedule: '0 6 * * *'\ntimezone: Asia/Seoul\nenabled: true")
    folder.pipeline("off", extra="schedule: '*/5 * * * *'")
    schedules = {each.name: each for each in folder.definitions().get_repository_def().schedule_defs}
    daily, off = schedules["daily_schedule"], schedules["off_schedule"]
    assert (daily.cron_schedule, daily.execution_timezone, daily.job_name) == (
        "0 6 * * *",
        "Asia/Seoul",
        "daily",
    )
    assert daily.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (off.execution_timezone, off.default_status) == ("UTC", dg.DefaultScheduleStatus.STOPPED)


def test_dbt_steps_run_in_the_other_location(folder):
    folder.write("models", "pipeline:\n  name: models\n  transform: {type: dbt}\n")
    assert keys_of(folder.definitions()) == set()

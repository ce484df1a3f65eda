"""Runs: what a load tells Dagster, what stops what comes after it, and what is tried again."""

import dagster as dg
import psycopg
import pytest

from dteg.core.errors import InputError, PermanentError, TransientError
from orchestration.lib.failures import NO_RUN_RETRY_TAG

pytestmark = pytest.mark.integration

UNIQUE = "quality: {validation_rules: [{type: unique, columns: [id], severity: %s}]}"


def run(folder, job, instance, **options):
    config = {"ops": {f"{job}__load": {"config": options}}} if options else {}
    resolved = folder.definitions().resolve_job_def(job)
    return resolved.execute_in_process(instance=instance, run_config=config, raise_on_error=False)


def materialized(result):
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}


def failure_of(result):
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data


def test_load_tells_rows_columns_and_seconds(folder, instance, warehouse):
    folder.pipeline("events", loader="postgres", rows="[{id: 1}, {id: 2}, {id: 3}]", extra=UNIQUE % "error")
    result = run(folder, "events", instance)
    assert result.success
    (event,) = result.get_asset_materialization_events()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    assert metadata["dagster/row_count"] == 3
    assert (metadata["rows_read"], metadata["rows_written"], metadata["rows_rejected"]) == (3, 3, 0)
    assert metadata["already_loaded"] is False
    assert metadata["load_s"] > 0
    columns = {column.name: column.type for column in metadata["dagster/column_schema"].columns}
    assert columns["id"] == "bigint"
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.metadata["total"].value) == ("unique_id", True, 3)


@pytest.mark.parametrize(("severity", "stops"), [("error", True), ("warn", False)])
def test_failed_check_of_severity_error_stops_what_comes_after(folder, instance, warehouse, severity, stops):
    folder.pipeline("first", loader="postgres", rows="[{id: 1}, {id: 1}]", extra=UNIQUE % severity)
    folder.pipeline("second", extra="depends_on: [raw.first]")
    job = folder.definitions().resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert check.severity == (dg.AssetCheckSeverity.ERROR if stops else dg.AssetCheckSeverity.WARN)
    assert (check.metadata["failing"].value, check.metadata["total"].value) == (1, 2)
    assert "1 of 2 rows" in check.description
    assert result.success is not stops
    assert materialized(result) == ({"raw/first"} if stops else {"raw/first", "raw/second"})
    assert folder.source.reads.count("rows") == (1 if stops else 2)  # a refused load is not tried again


def test_checks_run_without_a_load(folder, instance, warehouse):
    rules = "{type: unique, columns: [id]}, {type: record_count_match, against: source}"
    folder.pipeline(
        "events",
        loader="postgres",
        rows="[{id: 1}, {id: 2}]",
        extra=f"quality: {{validation_rules: [{rules}]}}",
    )
    assert run(folder, "events", instance).success
    with psycopg.connect(warehouse) as connection:
        connection.execute("insert into raw.events select * from raw.events")
    keys = [dg.AssetCheckKey(dg.AssetKey(["raw", "events"]), "record_count_match")]
    definitions = folder.definitions()
    checks_only = dg.define_asset_job("checks", selection=dg.AssetSelection.checks(*keys))
    merged = dg.Definitions.merge(definitions, dg.Definitions(jobs=[checks_only]))
    result = merged.resolve_job_def("checks").execute_in_process(instance=instance, raise_on_error=False)
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("record_count_match", False)  # 4 rows, the source had 2
    assert materialized(result) == set()
    assert folder.source.reads == ["rows"]


def test_one_stream_of_a_flow_can_run_alone(folder, instance):
    streams = ", ".join(f"{name}: {{types: {{id: bigint}}, rows: [{{id: 1}}]}}" for name in ("a", "b"))
    folder.write(
        "both",
        f"""
        pipeline:
          name: both
          extract: {{type: source, config: {{streams: {{{streams}}}}}}}
          load: {{type: sink, config: {{table: "raw.{{stream}}", store: {folder.store}}}}}
        """,
    )
    job = folder.definitions().resolve_job_def("both")
    result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(["raw", "b"])])
    assert materialized(result) == {"raw/b"}
    assert folder.source.reads == ["b"]


def test_permanent_error_fails_at_once_and_forbids_to_repeat_the_run(folder, instance):
    folder.pipeline("events")
    folder.source.errors[:] = [PermanentError("the password is wrong", component="source", stream="rows")]
    result = run(folder, "events", instance)
    assert folder.source.reads == ["rows"]
    data = failure_of(result)
    assert data.user_failure_data.description == "the password is wrong"
    assert data.user_failure_data.metadata["component"].value == "source"
    assert instance.get_run_by_id(result.run_id).tags[NO_RUN_RETRY_TAG] == "false"


def test_input_error_says_where_without_a_chain_of_tracebacks(folder, instance):
    folder.pipeline("events")
    folder.source.errors[:] = [InputError("not a number", source="a.csv", line=3)]
    data = failure_of(run(folder, "events", instance))
    assert data.user_failure_data.description == "a.csv:3: not a number"
    assert data.error.cause is None


def test_transient_error_is_tried_again_by_the_engine_then_once_by_dagster(folder, instance):
    folder.pipeline("events")  # two attempts
    folder.source.errors[:] = [TransientError("down")] * 3
    result = run(folder, "events", instance)
    assert result.success
    assert len(folder.source.reads) == 4
    assert [event for event in result.all_events if event.is_step_up_for_retry]
    assert NO_RUN_RETRY_TAG not in instance.get_run_by_id(result.run_id).tags


def test_transient_error_that_stays_fails_with_its_reason(folder, instance):
    folder.pipeline("events")
    folder.source.errors[:] = [TransientError("down")] * 9
    result = run(folder, "events", instance)
    assert len(folder.source.reads) == 4
    assert failure_of(result).user_failure_data.description == "down"


def test_params_and_full_refresh_are_chosen_for_one_run(folder, instance):
    folder.pipeline("events", extra="params: {day: monday}", rows="[{id: '{{ params.day }}'}]")
    assert not run(folder, "events", instance).success  # monday is no bigint
    assert run(folder, "events", instance, params={"day": "7"}, full_refresh=True).success
    assert folder.table("raw.events") == [{"id": 7}]
    unknown = failure_of(run(folder, "events", instance, params={"dya": "7"}))
    assert "did you mean" in unknown.user_failure_data.description
    assert "pipelines/events.yaml" in unknown.user_failure_data.metadata["problems"].value


def test_file_that_changed_its_tables_asks_for_a_reload(folder, instance):
    folder.pipeline("events")
    job = folder.definitions().resolve_job_def("events")
    folder.pipeline("events", table="raw.other")
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert "reload the location" in failure_of(result).user_failure_data.description
    assert folder.source.reads == []


def test_sql_transform_runs_after_the_loads(folder, instance, warehouse):
    (folder.project.root / "twice.sql").write_text(
        "create table public.twice as select id * 2 as id from raw.events;"
    )
    folder.pipeline(
        "events", loader="postgres", rows="[{id: 4}]", extra="transform: {type: sql, file: twice.sql}"
    )
    result = run(folder, "events", instance)
    assert materialized(result) == {"raw/events", "transform/events/1"}
    with psycopg.connect(warehouse) as connection:
        assert connection.execute("select id from public.twice").fetchall() == [(8,)]


def test_part_that_is_not_available_yet_is_refused_rather_than_left_out(folder, instance):
    folder.pipeline("events", extra="security: {encryption: [id]}")
    data = failure_of(run(folder, "events", instance))
    assert "security.encryption" in data.user_failure_data.description
    assert folder.source.reads == []

"""Datasets of files in Dagster: what each file becomes, and what a refresh does."""

import textwrap
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest

from dteg.datasets.models import Due
from dteg.datasets.service import Datasets
from orchestration.lib import dataset_runs, datasets
from orchestration.lib.cron import cron_definitions
from orchestration.lib.datasets import datasets_definitions

pytestmark = pytest.mark.integration

EVENTS = """
dataset: {name}
sources: {{e: {{source: warehouse, schema: raw, table: events}}{more}}}
columns: [{{name: id, from: e.id}}, {{name: kind, from: e.kind}}]
{extra}
"""


def write(folder, name="events", more="", extra="", text=EVENTS):
    path = folder.project.root / "datasets" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(text.format(name=name, more=more, extra=textwrap.dedent(extra))))
    return path


def definitions(folder, taken=frozenset()):
    files = sorted((folder.project.root / "datasets").iterdir())
    return datasets_definitions(files, folder.project, set(taken))


def graph_of(made):
    return made.get_repository_def().asset_graph


def keys_of(made):
    return {key.to_user_string() for key in graph_of(made).get_all_asset_keys()}


@pytest.fixture
def events(warehouse):
    """A table of the warehouse."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE TABLE raw.events (id bigint PRIMARY KEY, kind text)")
        connection.execute("INSERT INTO raw.events SELECT i, 'k' || i % 3 FROM generate_series(1, 9) AS i")
        yield connection


def run(folder, instance, name="events", tags=None, raise_on_error=True):
    job = definitions(folder).resolve_job_def(f"dataset__{name}")
    return job.execute_in_process(instance=instance, tags=tags or {}, raise_on_error=raise_on_error)


def test_file_is_an_asset_after_what_it_reads(folder):
    write(
        folder,
        more=", o: {source: shop, schema: public, table: orders}, d: {dictionary: kinds}, x: {dataset: base}",
        extra="""
        description: What happened.
        cache: {schedule: "*/15 * * * *", timezone: Asia/Seoul, max_age: 1h}
        checks: [{not_empty: true}, {unique: [id], blocking: false}]
        """,
    )
    write(folder, "base")
    made = definitions(folder)
    graph = graph_of(made)
    assert keys_of(made) == {"ds/events", "ds/base", "raw/events", "src/shop/public/orders", "dict/kinds"}
    node = graph.get(dg.AssetKey(["ds", "events"]))
    parents = {key.to_user_string() for key in node.parent_keys}
    assert parents == {"raw/events", "src/shop/public/orders", "dict/kinds", "ds/base"}
    assert (node.group_name, node.description) == ("datasets", "What happened.")
    assert node.metadata["dagster/table_name"] == "ds.events"
    assert node.metadata["dataset_file"] == "datasets/events.yaml"
    assert node.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1))
    blocking = [graph.get_check_spec(key).blocking for key in node.check_keys]
    assert sorted(blocking) == [False, False, True]  # that of the definition warns only
    (schedule,) = made.get_repository_def().schedule_defs
    assert (schedule.job_name, schedule.cron_schedule, schedule.execution_timezone) == (
        "dataset__events", "*/15 * * * *", "Asia/Seoul",
    )  # fmt: skip
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_tick_asks_for_the_run_of_its_time(folder):
    write(folder, extra='cache: {schedule: "0 6 * * *"}')
    (schedule,) = definitions(folder).get_repository_def().schedule_defs
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 11, 21, 6, tzinfo=UTC))
    (request,) = schedule.evaluate_tick(context).run_requests
    assert request.run_key == "events@2026-11-21T06:00:00+00:00"
    assert request.tags[dataset_runs.SLOT_TAG] == "2026-11-21T06:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dataset: b\nsauces: {}\n", "sauces"),
        ("dataset: b\nsources: {x: {dataset: a}}\n", "datasets read each other in a circle"),
        ("dataset: other\nsources: {x: {dictionary: k}}\n", "b.yaml"),
        ("dataset: [", "datasets/b.yaml"),
        ("dataset: b\nsources: {x: {dictionary: k}}\n", "a pipeline is called 'dataset__b'"),
    ],
)
def test_broken_file_becomes_a_failing_check_and_the_others_load(folder, instance, text, said):
    write(folder, "a", more=", x: {dataset: b}")
    write(folder, "b", text=text.replace("{", "{{").replace("}", "}}"))
    made = definitions(folder, taken={"dataset__b"} if "pipeline" in said else ())
    assert keys_of(made) >= {"ds/a", "dteg_config/datasets/b"}
    job = made.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["dteg_config", "datasets", "b"])
    result = job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == ("valid_config", False)
    assert said in evaluation.description


def test_refresh_publishes_what_passes_its_checks(folder, instance, events):
    write(folder, extra="cache: {key: [id]}\nchecks: [{not_empty: true}, {unique: [id]}]")
    result = run(folder, instance)
    (made,) = result.asset_materializations_for_node("dataset__events__refresh")
    told = {name: value.value for name, value in made.metadata.items()}
    assert (told["dagster/row_count"], told["generation"], told["dagster/table_name"]) == (9, 1, "ds.events")
    assert told["bytes"] > 0
    assert told["seconds"] > 0
    assert "raw" in told["sql"]
    assert all(check.passed for check in result.get_asset_check_evaluations())
    assert len(result.get_asset_check_evaluations()) == 3
    assert events.execute("SELECT count(*) FROM ds.events").fetchone() == (9,)
    live = Datasets.of(folder.project).get("events").live
    assert (live.n, live.run_id) == (1, result.run_id)


def test_rows_that_fail_a_blocking_check_are_not_published(folder, instance, events):
    write(folder, extra="checks: [{row_drop_max: 30%}, {min_rows: 100, blocking: false}]")
    first = run(folder, instance)
    assert [check.passed for check in first.get_asset_check_evaluations()].count(False) == 1  # only a warning
    events.execute("DELETE FROM raw.events WHERE id > 3")
    result = run(folder, instance, raise_on_error=False)
    assert not result.success
    assert not result.asset_materializations_for_node("dataset__events__refresh")
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert dg.AssetCheckSeverity.ERROR in {check.severity for check in failed}
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "not published" in failure.step_failure_data.user_failure_data.description
    assert events.execute("SELECT count(*) FROM ds.events").fetchone() == (9,)  # what was there before


def test_time_that_somebody_else_took_is_not_worked_on_again(folder, instance, events):
    write(folder, extra='cache: {schedule: "0 6 * * *"}')
    run(folder, instance)
    slot = datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert Datasets.of(folder.project).claim(Due(slug="events", slot=slot, what="refresh"), by="studio")
    result = run(folder, instance, tags={dataset_runs.SLOT_TAG: slot.isoformat()})
    assert result.success
    assert not result.asset_materializations_for_node("dataset__events__refresh")
    assert Datasets.of(folder.project).get("events").live.n == 1
    later = slot + timedelta(days=1)
    assert run(folder, instance, tags={dataset_runs.SLOT_TAG: later.isoformat()}).success
    assert Datasets.of(folder.project).get("events").live.n == 2


def test_cron_job_that_refreshes_writes_it_into_the_history_of_the_dataset(folder, instance, events):
    write(folder)
    path = folder.project.root / "cron" / "often.yaml"
    path.parent.mkdir()
    path.write_text('cron: {name: often, schedule: "*/5 * * * *", action: refresh dataset events}\n')
    made = cron_definitions([path], folder.project, dg.Definitions())
    assert made.resolve_job_def("cron__often").execute_in_process(instance=instance).success
    told = instance.get_latest_materialization_event(dg.AssetKey(["ds", "events"])).asset_materialization
    assert (told.metadata["generation"].value, told.metadata["dagster/row_count"].value) == (1, 9)


def test_definition_that_no_longer_fits_is_a_failed_check(folder, instance, events):
    write(folder)
    run(folder, instance)
    events.execute("ALTER TABLE raw.events DROP COLUMN kind")
    result = run(folder, instance, raise_on_error=False)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == ("sources_fit", False)
    assert "kind" in check.description
    assert events.execute("SELECT count(*) FROM ds.events").fetchone() == (9,)


def test_order_is_that_of_what_they_read(folder):
    write(folder, "a", more=", x: {dataset: b}")
    write(folder, "b")
    assert datasets.in_order(folder.project) == ["b", "a"]


def test_names_of_checks_are_those_that_dagster_allows():
    assert dataset_runs.check_name("unique: country, day") == "unique_country_day"
    assert dataset_runs.check_name("%%") == "check"

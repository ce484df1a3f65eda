"""Datasets that people made, snapshots and forecasts in Dagster, and the sensor of sources."""

import textwrap
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dagster as dg
import psycopg
import pytest

from dteg.core.errors import UnavailableError
from dteg.datasets.service import Datasets
from dteg.datasets.spec import parse_spec
from dteg.snapshots.models import Forecast
from dteg.snapshots.service import Snapshots
from dteg.sources.models import (
    Column,
    ColumnDrift,
    Kind,
    LinkReport,
    Mode,
    NewSource,
    Relation,
    Source,
    SourceTable,
    TableDrift,
)
from dteg.sources.relaying import Relaying
from dteg.sources.service import Sources
from orchestration.lib import alerts, snapshots, sources, user_checks, user_datasets
from orchestration.lib.datasets import datasets_definitions

pytestmark = pytest.mark.integration

EVENTS = """
dataset: events
sources: {e: {source: warehouse, schema: raw, table: events}}
group_by: [{name: kind, from: e.kind}]
measures: [{name: events, fn: count}]
"""
HOURLY = 'snapshot: {schedule: "0 * * * *", metrics: [events], by: [kind]}\n'


@pytest.fixture
def events(warehouse):
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE TABLE raw.events (id bigint PRIMARY KEY, kind text)")
        connection.execute("INSERT INTO raw.events SELECT i, 'k' || i % 3 FROM generate_series(1, 9) AS i")
        yield connection


def look(folder, instance, now, cursor=None):
    context = dg.build_sensor_context(instance=instance, cursor=cursor)
    return user_datasets.due_runs(context, folder.project, now)


NIGHT = datetime(2026, 11, 21, 1, tzinfo=UTC)


def test_dataset_of_the_studio_is_a_partition_and_runs_when_due(folder, instance, events):
    made = Datasets.of(folder.project)
    made.save(parse_spec(EVENTS + 'cache: {schedule: "* * * * *"}\n'), origin="page", who="mina")
    made.save(
        parse_spec(EVENTS.replace("dataset: events", "dataset: of_a_file")), origin="file", file="x.yaml"
    )
    found = look(folder, instance, datetime.now(UTC) + timedelta(minutes=2))
    (request,) = found.dynamic_partitions_requests
    assert request.partition_keys == ["events"]
    instance.add_dynamic_partitions(user_datasets.PARTITIONS, request.partition_keys)
    (run,) = [each for each in found.run_requests if each.job_name == "user_datasets"]
    assert (run.partition_key, run.run_key.split("@")[0]) == ("events", "refresh:events")
    job = user_datasets.user_definitions(folder.project, 30).resolve_job_def("user_datasets")
    for number in range(2):  # the second finds the time taken
        result = job.execute_in_process(instance=instance, partition_key="events", tags=run.tags)
        assert len(result.asset_materializations_for_node("user_datasets__refresh")) == 1 - number
    assert events.execute("SELECT sum(events)::int FROM ds.events").fetchone() == (9,)
    made.remove("events")
    (request,) = look(folder, instance, NIGHT).dynamic_partitions_requests
    assert request.partition_keys == ["events"]
    assert type(request).__name__ == "DeleteDynamicPartitionsRequest"


def refreshed(folder, instance, reads=None):
    job = user_datasets.user_definitions(folder.project, 30, reads).resolve_job_def("user_datasets")
    return job.execute_in_process(instance=instance, partition_key="events", raise_on_error=False)


def checked(result):
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


CHECKS = "checks: [{unique: [kind]}, {min_rows: %d}, {min_rows: 99, blocking: false}]\n"


def test_each_partition_has_the_results_of_its_own_checks(folder, instance, events):
    made = Datasets.of(folder.project)
    made.save(parse_spec(EVENTS + CHECKS % 2), origin="page")
    instance.add_dynamic_partitions(user_datasets.PARTITIONS, ["events"])
    result = refreshed(folder, instance)
    assert result.success
    found = checked(result)
    assert {name: (each.passed, each.partition) for name, each in found.items()} == {
        "sources_fit": (True, "events"), "rows_pass": (True, "events"), "rows_warn": (False, "events"),
    }  # fmt: skip
    records = [record.data for record in found["rows_pass"].metadata["checks"].records]
    assert [(each["check"], each["passed"]) for each in records] == [
        ("unique: kind", True),
        ("min_rows: 2", True),
    ]
    assert found["rows_warn"].severity == dg.AssetCheckSeverity.WARN
    made.save(parse_spec(EVENTS + CHECKS % 50), replace=True, origin="page")
    result = refreshed(folder, instance)
    assert not result.success  # the rows of before are still read
    assert (checked(result)["rows_pass"].passed, made.get("events").live.n) == (False, 1)
    assert "min_rows: 50: " in checked(result)["rows_pass"].description
    assert not result.asset_materializations_for_node("user_datasets__refresh")
    events.execute("ALTER TABLE raw.events RENAME kind TO sort")
    result = refreshed(folder, instance)
    assert (result.success, checked(result)["sources_fit"].passed) == (False, False)


def test_alerts_hear_of_the_checks_of_each_dataset_as_from_the_studio(folder, instance, events):
    Datasets.of(folder.project).save(parse_spec(EVENTS + CHECKS % 2), origin="page")
    instance.add_dynamic_partitions(user_datasets.PARTITIONS, ["events"])
    refreshed(folder, instance)
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    entries = instance.event_log_storage.get_logs_for_all_runs_by_log_id(0, kind)
    told = [
        (each.subject, each.state)
        for entry in entries.values()
        for each in alerts.check_occurrences(entry.get_dagster_event().asset_check_evaluation_data, entry)
    ]
    assert sorted(told) == [
        ("ds.events: min_rows: 2", "resolved"), ("ds.events: min_rows: 99", "firing"),
        ("ds.events: sources_fit", "resolved"), ("ds.events: unique: kind", "resolved"),
    ]  # fmt: skip


def test_what_a_partition_reads_is_told_by_its_materialization_and_shown_after_the_next_load(
    folder, instance, events
):
    made = Datasets.of(folder.project)
    made.save(parse_spec(EVENTS), origin="page")
    assert user_checks.remembered(folder.project).keys == []
    look(folder, instance, NIGHT)
    instance.add_dynamic_partitions(user_datasets.PARTITIONS, ["events"])
    reads = user_checks.remembered(folder.project)
    result = refreshed(folder, instance, reads)
    (told,) = result.asset_materializations_for_node("user_datasets__refresh")
    table = dg.AssetKey(["raw", "events"])
    assert told.metadata["reads warehouse/raw.events"].asset_key == table
    graph = user_datasets.user_definitions(folder.project, 30, reads).get_repository_def().asset_graph
    assert graph.get(user_datasets.DATASETS).parent_keys == {table}
    made.save(parse_spec(EVENTS.replace("dataset: events", "dataset: of_events")), origin="page")
    made.refresh("events")
    reader = "dataset: reader\nsources: {e: {dataset: events}}\n"
    made.save(parse_spec(reader), origin="page")
    links = user_checks.upstream(made.get("reader"), ["events", "reader"])
    assert [link.asset_key for link in links.values()] == [user_datasets.DATASETS]
    look(folder, instance, NIGHT)
    assert user_checks.remembered(folder.project).datasets == []  # a partition of the asset itself


def test_cron_job_that_refreshes_a_partition_tells_its_checks_too(folder, instance, events):
    Datasets.of(folder.project).save(parse_spec(EVENTS + CHECKS % 2), origin="page")
    instance.add_dynamic_partitions(user_datasets.PARTITIONS, ["events"])

    @dg.op
    def refresh(context: dg.OpExecutionContext) -> None:
        user_datasets.refresh_dataset(context, "events", folder.project)

    @dg.job
    def nightly():
        refresh()

    result = nightly.execute_in_process(instance=instance)
    (made,) = [event for event in result.all_events if event.is_step_materialization]
    assert made.partition == "events"
    key = dg.AssetCheckKey(user_datasets.DATASETS, "rows_pass")
    (told,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    found = told.event.dagster_event.asset_check_evaluation_data
    assert (found.partition, found.passed) == ("events", True)


def test_broken_state_of_the_lineage_file_is_no_lineage(folder):
    user_checks.remember(folder.project, {})
    path = folder.project.state_dir / "dagster" / "user_datasets.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"tables": 7}')
    assert user_checks.remembered(folder.project).keys == []


def test_forecasts_of_the_studios_datasets_are_asked_for_once_a_day(folder, instance, events):
    made = Datasets.of(folder.project)
    made.save(parse_spec(EVENTS + HOURLY), origin="api")
    made.refresh("events")
    instance.add_dynamic_partitions(user_datasets.PARTITIONS, ["events"])
    assert not [run for run in look_runs(folder, instance, NIGHT) if run.job_name == "user_forecasts"]
    morning = look(folder, instance, NIGHT + timedelta(hours=3))
    (run,) = [run for run in morning.run_requests if run.job_name == "user_forecasts"]
    assert run.run_key == "forecast:events@2026-11-21"
    assert morning.cursor == "2026-11-21"
    later = look_runs(folder, instance, NIGHT + timedelta(hours=4), morning.cursor)
    assert not [run for run in later if run.job_name == "user_forecasts"]


def look_runs(folder, instance, now, cursor=None):
    found = look(folder, instance, now, cursor)
    return found.run_requests if isinstance(found, dg.SensorResult) else []


def with_snapshots(folder):
    path = folder.project.root / "datasets" / "events.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(EVENTS + HOURLY))
    # As if the location had been there for some days.
    seen = folder.project.state_dir / "snapshots" / "events"
    seen.parent.mkdir(exist_ok=True)
    seen.write_text((datetime.now(UTC) - timedelta(days=3)).date().isoformat())
    return datasets_definitions([path], folder.project)


def partition(slot):
    return slot.strftime(snapshots.KEY_FORMAT)


def test_snapshot_is_a_partition_of_its_time_and_never_of_another(folder, instance, events):
    made = with_snapshots(folder)
    assert made.resolve_job_def("dataset__events").execute_in_process(instance=instance).success
    job = made.resolve_job_def("snapshot__events")
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for again in (False, True):
        result = job.execute_in_process(instance=instance, partition_key=partition(now))
        (taken,) = result.asset_materializations_for_node("snapshot__events__take")
        assert (taken.partition, taken.metadata["again"].value) == (partition(now), again)
    assert len(Snapshots.of(folder.project).series("events", "events")) >= 3
    events.execute("DELETE FROM raw.events")
    result = job.execute_in_process(
        instance=instance, partition_key=partition(now - timedelta(hours=30)), raise_on_error=False
    )
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    message = failure.step_failure_data.user_failure_data.description
    assert "cannot be taken" in message or "past" in message or "over" in message


def test_snapshots_have_the_times_of_their_schedule(folder):
    made = with_snapshots(folder)
    graph = made.get_repository_def().asset_graph
    slots = graph.get(dg.AssetKey(["snap", "events"])).partitions_def
    keys = slots.get_partition_keys()
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    assert keys[-1] == partition(now)  # that of now, from its beginning on
    assert 72 <= len(keys) <= 97
    schedules = {each.name: each for each in made.get_repository_def().schedule_defs}
    assert set(schedules) == {"snapshot__events_schedule", "dataset_forecasts_schedule"}
    context = dg.build_schedule_context(
        scheduled_execution_time=now, repository_def=made.get_repository_def()
    )
    (request,) = schedules["snapshot__events_schedule"].evaluate_tick(context).run_requests
    assert request.partition_key == partition(now)
    assert {key.to_user_string() for key in graph.get(dg.AssetKey(["forecast", "events"])).parent_keys} == {
        "snap/events"
    }


def forecast(**values):
    told = {
        "dataset": "events", "metric": "events", "by": {"kind": "k1"}, "state": "ok", "made_at": NIGHT, "model": "AutoETS",
        "mase": 0.7, "naive_mase": 1.0, "coverage_80": 0.8,
    }  # fmt: skip
    return Forecast.model_validate({**told, **values})


def test_forecasts_that_are_no_better_than_repeating_warn(folder, instance, monkeypatch):
    waiting = {"state": "not_enough_data", "mase": None, "naive_mase": None, "coverage_80": None}
    made = [forecast(), forecast(by={"kind": "k2"}, mase=1.4), forecast(by={"kind": "k3"}, **waiting)]
    service = SimpleNamespace(of=lambda project: SimpleNamespace(forecast_all=lambda slug: made))
    monkeypatch.setattr("dteg.snapshots.service.Snapshots", service)
    result = with_snapshots(folder).resolve_job_def("dataset_forecasts").execute_in_process(instance=instance)
    assert result.success
    (told,) = result.asset_materializations_for_node("forecast__events")
    assert (told.metadata["series"].value, told.metadata["forecast"].value) == (3, 2)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert checks["interval_covers"].passed
    worse = checks["better_than_naive"]
    assert (worse.passed, worse.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "1 of 2 forecasts: events (kind=k2): 1.40" in worse.description


class FakeSources:
    """Stands in for the sources of a project."""

    def __init__(self, linked_at, drift=()):
        self.drift, self.refreshed, self.error = list(drift), [], None
        self.source = Source(slug="shop", kind=Kind.POSTGRES, mode=Mode.FDW, linked_at=linked_at)
        columns = [Column(name="id", type="bigint"), Column(name="total", type="numeric(12,2)")]
        self.orders = SourceTable(
            source="shop", schema_="public", name="orders", relation=Relation(schema_="src_shop", name="orders"),
            columns=columns, row_estimate=10, schema_hash="abc", linked=True,
        )  # fmt: skip

    def sources(self):
        return [self.source, Source(slug="warehouse", kind=Kind.WAREHOUSE, mode=Mode.LOCAL)]

    def tables(self, slug):
        return [self.orders, self.orders.model_copy(update={"name": "unused"})]

    def refresh(self, slug):
        self.refreshed.append(slug)
        if self.error:
            raise self.error
        return LinkReport(source=self.source, linked=2, drift=self.drift)


def observe(folder, instance, monkeypatch, fake, cursor=None):
    monkeypatch.setattr("dteg.sources.service.Sources", SimpleNamespace(of=lambda project: fake))
    path = folder.project.root / "datasets" / "orders.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("dataset: orders\nsources: {o: {source: shop, schema: public, table: orders}}\n")
    made = datasets_definitions([path], folder.project)
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=made)
    return sources.observe(context, folder.project, timedelta(hours=1))


def test_table_of_a_source_is_observed_when_it_differs(folder, instance, monkeypatch):
    fake = FakeSources(datetime.now(UTC))
    first = observe(folder, instance, monkeypatch, fake)
    (seen,) = first.asset_events  # the other table is read by nothing
    assert seen.asset_key == dg.AssetKey(["src", "shop", "public", "orders"])
    assert (seen.metadata["row_estimate"].value, seen.metadata["schema_hash"].value) == (10, "abc")
    assert fake.refreshed == []  # it was asked a moment ago
    assert isinstance(observe(folder, instance, monkeypatch, fake, first.cursor), dg.SkipReason)
    fake.orders = fake.orders.model_copy(update={"row_estimate": 11})
    assert len(observe(folder, instance, monkeypatch, fake, first.cursor).asset_events) == 1


def test_drift_marks_what_it_breaks(folder, instance, monkeypatch):
    gone = TableDrift(
        table="public.orders", change="changed", broken=["orders", "unknown"],
        columns=[ColumnDrift(column="total", change="removed", before="numeric(12,2)")],
    )  # fmt: skip
    fake = FakeSources(datetime.now(UTC) - timedelta(hours=2), [gone])
    found = observe(folder, instance, monkeypatch, fake)
    assert fake.refreshed == ["shop"]
    seen, check = found.asset_events
    assert seen.description == "table changed: total removed: numeric(12,2) → -"
    assert seen.metadata["breaks"].value == "orders, unknown"
    assert (check.asset_key, check.check_name, check.passed) == (
        dg.AssetKey(["ds", "orders"]),
        "sources_fit",
        False,
    )
    assert "shop/public.orders: total removed" in check.description


def test_drift_marks_the_partition_that_it_breaks(folder, instance, monkeypatch):
    gone = TableDrift(table="public.orders", change="removed", broken=["of_mina"])
    report = LinkReport(source=FakeSources(None).source, linked=1, drift=[gone])
    (check,) = sources.broken_checks(report, frozenset(["of_mina"]))
    assert (check.asset_key, check.check_name) == (user_datasets.DATASETS, "sources_fit")
    assert (check.partition, check.passed) == ("of_mina", False)


@pytest.fixture
def shop(warehouse, postgres_tcp_database, folder, tmp_path, monkeypatch):
    """A source on another server with the table `orders`, and a file that reads it; yields a connection to it."""
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    path = folder.project.root / "datasets" / "orders.yaml"
    path.parent.mkdir()
    path.write_text(
        "dataset: orders\nsources: {o: {source: shop, schema: public, table: orders}}\n"
        "columns: [{name: id, from: o.id}, {name: total, from: o.total}]\n"
    )
    with psycopg.connect(postgres_tcp_database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT i AS id, i * 1.5 AS total FROM generate_series(1, 9) AS i"
        )
        new = {"slug": "shop", "kind": "postgres", "url": postgres_tcp_database, "mode": "fdw"}
        Sources.of(folder.project).add(NewSource.model_validate(new))
        yield connection
    Relaying(folder.project).stop()


def test_change_on_another_server_reaches_the_dataset_and_its_rows_stay(folder, instance, shop, warehouse):
    made = datasets_definitions([folder.project.root / "datasets" / "orders.yaml"], folder.project)
    job = made.resolve_job_def("dataset__orders")
    result = job.execute_in_process(instance=instance)
    (told,) = result.asset_materializations_for_node("dataset__orders__refresh")
    assert told.metadata["dagster/row_count"].value == 9

    def look_at_sources(cursor):
        context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=made)
        return sources.observe(context, folder.project, timedelta(0))

    first = look_at_sources(None)
    assert [event.asset_key.to_user_string() for event in first.asset_events] == ["src/shop/public/orders"]
    shop.execute("ALTER TABLE orders RENAME total TO amount")
    seen, check = look_at_sources(first.cursor).asset_events
    assert "total removed" in seen.description
    assert (check.asset_key, check.passed) == (dg.AssetKey(["ds", "orders"]), False)
    assert not job.execute_in_process(instance=instance, raise_on_error=False).success
    with psycopg.connect(warehouse) as connection:
        assert connection.execute("SELECT sum(total) FROM ds.orders").fetchone() == (67.5,)


def test_source_that_is_away_does_not_hold_up_the_others(folder, instance, monkeypatch):
    fake = FakeSources(datetime.now(UTC) - timedelta(hours=2))
    fake.error = UnavailableError("shop does not answer")
    first = observe(folder, instance, monkeypatch, fake)
    assert len(first.asset_events) == 1
    again = observe(folder, instance, monkeypatch, fake, first.cursor)
    assert "shop does not answer" in again.skip_message

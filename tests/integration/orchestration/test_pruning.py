"""Pruning of a filled storage: what goes, what stays, on SQLite and on PostgreSQL."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable as Events
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.storage.schedules.schema import JobTickTable

from dteg.core.project import Project
from dteg.pruning import PruneOrder, Pruning
from orchestration.lib.pruning import PruneOptions
from orchestration.lib.pruning import Pruning as Pass

pytestmark = pytest.mark.integration

OLD = timedelta(days=90)


@dg.asset(check_specs=[dg.AssetCheckSpec("fine", asset="orders")])
def orders():
    yield dg.MaterializeResult()
    yield dg.AssetCheckResult(passed=True)


@dg.asset(check_specs=[dg.AssetCheckSpec("known", asset="customers")])
def customers():
    yield dg.MaterializeResult()
    yield dg.AssetCheckResult(passed=True)


@dg.op
def fail():
    raise dg.Failure("no")


@dg.job
def failing():
    fail()


@dg.job
def endless():
    fail()


DEFINITIONS = dg.Definitions(
    assets=[orders, customers],
    jobs=[
        failing,
        dg.define_asset_job("load_orders", ["orders"]),
        dg.define_asset_job("load_customers", ["customers"]),
    ],
)


def run(instance, name, age=timedelta(0)):
    """Run a job and make it as old as `age`."""
    result = DEFINITIONS.resolve_job_def(name).execute_in_process(instance=instance, raise_on_error=False)
    if age:
        make_old(instance, result.run_id, age)
    return result.run_id


def make_old(instance, run_id, age):
    at = datetime.now(UTC) - age
    naive = at.replace(tzinfo=None)
    with instance.run_storage.connect() as connection:
        values = {
            "create_timestamp": naive,
            "update_timestamp": naive,
            "start_time": at.timestamp(),
            "end_time": at.timestamp() + 1,
        }
        connection.execute(RunsTable.update().where(RunsTable.c.run_id == run_id).values(**values))
    with instance.event_log_storage.index_connection() as connection:
        connection.execute(Events.update().where(Events.c.run_id == run_id).values(timestamp=naive))
        checks = AssetCheckExecutionsTable
        connection.execute(checks.update().where(checks.c.run_id == run_id).values(create_timestamp=naive))


def age_of_runless_events(instance, age):
    naive = (datetime.now(UTC) - age).replace(tzinfo=None)
    with instance.event_log_storage.index_connection() as connection:
        connection.execute(Events.update().where(Events.c.run_id == "").values(timestamp=naive))


def add_ticks(instance, count, age):
    naive = (datetime.now(UTC) - age).replace(tzinfo=None)
    with instance.schedule_storage.connect() as connection:
        for number in range(count):
            connection.execute(
                JobTickTable.insert().values(
                    job_origin_id="o", selector_id="s", status="SKIPPED", type="SENSOR", tick_body="{}",
                    timestamp=naive + timedelta(seconds=number),
                )
            )  # fmt: skip


def prune(instance, **options):
    return Pass(instance, PruneOptions(**options)).run()


def ids(instance):
    return {run.run_id for run in instance.get_runs()}


@pytest.fixture
def storage(request, tmp_path):
    """An instance that keeps what it is told: in files, or on a server where a test asks for one."""
    if getattr(request, "param", "sqlite") == "sqlite":
        overrides = {}
    else:
        url = request.getfixturevalue("postgres_url")
        _scheme, rest = url.split("://", 1)
        overrides = {"storage": {"postgres": {"postgres_url": f"postgresql+psycopg2://{rest}"}}}
    with dg.instance_for_test(overrides=overrides, temp_dir=str(tmp_path)) as made:
        yield made


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"], indirect=True)
def test_old_runs_go_and_what_counts_stays(storage):
    old = [run(storage, "load_orders", OLD) for _ in range(3)]
    failed = [run(storage, "failing", OLD) for _ in range(2)]
    only = run(storage, "load_customers", OLD)  # old, but the latest of its table
    waiting = storage.create_run_for_job(endless, status=dg.DagsterRunStatus.STARTED).run_id
    make_old(storage, waiting, OLD)
    young = run(storage, "load_orders")
    before = storage.get_latest_materialization_event(dg.AssetKey("customers"))

    counted = prune(storage, dry_run=True)
    assert (counted.runs, counted.runs_kept) == (4, 3)
    assert counted.events > 20
    assert ids(storage) == {*old, *failed, only, waiting, young}

    done = prune(storage)
    assert (done.runs, done.runs_kept, done.events, done.checks) == (4, 3, counted.events, counted.checks)
    assert ids(storage) == {failed[1], only, waiting, young}
    assert storage.get_latest_materialization_event(dg.AssetKey("customers")) == before
    assert storage.fetch_materializations(dg.AssetKey("customers"), limit=5).records
    assert len(storage.fetch_materializations(dg.AssetKey("orders"), limit=9).records) == 1
    checks = {
        dg.AssetCheckKey(dg.AssetKey("orders"), "fine"): young,
        dg.AssetCheckKey(dg.AssetKey("customers"), "known"): only,
    }
    latest = storage.event_log_storage.get_latest_asset_check_execution_by_key(list(checks))
    assert {key: record.run_id for key, record in latest.items()} == checks
    assert done.checks == 3
    assert storage.get_run_by_id(old[0]) is None
    with storage.event_log_storage.index_connection() as connection:
        left = connection.execute(db.select(Events.c.run_id).distinct()).scalars().all()
    assert set(left) <= {failed[1], only, waiting, young}
    again = prune(storage)
    assert (again.runs, again.events, again.ticks, again.checks) == (0, 0, 0, 0)


def test_events_without_a_run_go_but_for_the_latest_of_each_table(storage):
    for _ in range(4):
        storage.report_runless_asset_event(dg.AssetObservation("orders"))
    storage.report_runless_asset_event(dg.AssetMaterialization("customers"))
    age_of_runless_events(storage, OLD)
    report = prune(storage)
    assert report.events == 3
    assert len(storage.fetch_observations(dg.AssetKey("orders"), limit=9).records) == 1
    assert storage.get_latest_materialization_event(dg.AssetKey("customers"))


def test_number_of_the_newest_event_is_not_given_again(storage):
    """A sensor stands behind the last event that it saw: with that number given again, it would miss one.

    Tried by taking the newest event out of what stays: SQLite then gives its number to the next run's start.
    """
    slow, _ = run(storage, "failing", OLD), run(storage, "failing", OLD)
    newest = storage.event_log_storage.get_maximum_record_id()
    with storage.event_log_storage.index_connection() as connection:  # the first run ends last
        connection.execute(Events.update().where(Events.c.id == newest).values(run_id=slow))
    prune(storage)
    run(storage, "failing")
    found = storage.event_log_storage.get_logs_for_all_runs_by_log_id(newest, dg.DagsterEventType.RUN_START)
    assert len(found) == 1


def test_old_ticks_go_but_for_the_last(storage):
    add_ticks(storage, 1200, OLD)
    report = prune(storage)
    assert report.ticks == 1199
    add_ticks(storage, 3, timedelta(0))
    assert prune(storage).ticks == 1


def test_files_of_runs_and_their_room_are_given_back(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        kept = [run(instance, "failing", OLD) for _ in range(4)][-1]
        folder = Path(instance.event_log_storage.path_for_shard("index")).parent
        assert len(list(folder.glob("*.db"))) >= 5
        report = prune(instance)
        assert {path.stem for path in folder.glob("*.db")} - {"", ".db"} == {"index", kept}
        assert report.compacted
        assert report.bytes_before - report.bytes_after > 3 * 50_000
        with sqlite3.connect(folder / "index.db") as connection:
            assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_command_reaches_the_storage_of_the_project(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    project = Project(tmp_path)
    assert (
        Pruning.of(project).prune(PruneOrder()).runs == 0
    )  # nothing was kept yet, and Dagster is not started
    assert not project.dagster_home.exists()
    from orchestration.instance import prepare_home

    for name in ("DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")
    monkeypatch.delenv("DAGSTER_HOME")
    prepare_home(project)
    with dg.DagsterInstance.get() as instance:
        for _ in range(2):
            run(instance, "failing", OLD)
    report = Pruning.of(project).prune(PruneOrder(older_than="30d"))
    assert (report.runs, report.runs_kept) == (1, 1)
    with dg.DagsterInstance.get() as instance:
        assert len(ids(instance)) == 1


def test_age_of_nothing_is_refused():
    for text in ("0d", "soon"):
        with pytest.raises(ValueError, match=text):
            PruneOrder(older_than=text)

"""What Dagster's event log tells alerts: runs, checks that block nothing too, freshness, and ticks that fail."""

import json
import time

import dagster as dg
import psycopg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from dteg.core.project import Project
from dteg.cron.names import CRON_TAG
from orchestration.lib import alerts

pytestmark = pytest.mark.integration


@dg.asset(check_specs=[dg.AssetCheckSpec("fine", asset="orders"), dg.AssetCheckSpec("odd", asset="orders")])
def orders():
    yield dg.MaterializeResult(metadata={"rows_written": 7, "rows_read": 9})
    yield dg.AssetCheckResult(check_name="fine", passed=True)
    yield dg.AssetCheckResult(
        check_name="odd", passed=False, severity=dg.AssetCheckSeverity.WARN, description="1 of 7 rows is odd"
    )


@dg.op
def fail():
    raise dg.Failure("the disk is full")


@dg.job
def failing():
    fail()


DEFINITIONS = dg.Definitions(assets=[orders], jobs=[failing, dg.define_asset_job("load_orders", ["orders"])])


@pytest.fixture
def project(tmp_path, warehouse):
    return Project(tmp_path)


@pytest.fixture
def storage(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


@pytest.fixture
def looker(project, storage):
    """Looks again and again, as the sensor does, with the cursor that Dagster would keep."""

    class Looker:
        cursor = None

        def look(self, later=alerts.HOLD_BACK_S + 1):
            context = dg.build_sensor_context(instance=storage, cursor=self.cursor)
            result = alerts.report_since(context, project, time.time() + later)
            self.cursor = getattr(result, "cursor", None) or self.cursor
            return result

    made = Looker()
    made.look()
    return made


def run(storage, name, tags=None):
    job = DEFINITIONS.resolve_job_def(name)
    return job.execute_in_process(instance=storage, raise_on_error=False, tags=tags or {})


def told(url):
    query = "SELECT kind, subject, state, severity, message, details FROM _dteg.alert_occurrences ORDER BY id"
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_failed_check_that_blocks_nothing_is_told_though_the_run_succeeds(looker, storage, warehouse):
    assert run(storage, "load_orders").success
    looker.look()
    found = {
        (kind, subject): (state, severity, message)
        for kind, subject, state, severity, message, _ in told(warehouse)
    }
    assert found["check", "orders: odd"] == (
        "firing",
        "warning",
        "check odd of orders failed: 1 of 7 rows is odd",
    )
    assert found["check", "orders: fine"][:2] == ("resolved", "info")
    assert found["run", "load_orders"][:2] == ("resolved", "info")
    (details,) = [row[5] for row in told(warehouse) if row[0] == "run"]
    assert (details["rows_loaded"], details["rows_read"]) == (7, 9)
    assert details["duration_s"] > 0


def test_failed_run_is_told_with_its_reason_and_for_its_cron_job(looker, storage, warehouse):
    run(storage, "failing", {CRON_TAG: "nightly"})
    looker.look()
    rows = [row[:5] for row in told(warehouse)]
    assert rows == [
        ("run", "failing", "firing", "error", "failing failed: the disk is full"),
        ("cron", "nightly", "firing", "error", "cron job nightly failed: the disk is full"),
    ]


def test_nothing_is_told_twice_and_nothing_from_before_the_first_look(project, storage, warehouse):
    run(storage, "failing")
    first = alerts.report_since(dg.build_sensor_context(instance=storage), project, time.time() + 60)
    assert first.skip_reason.skip_message == "nothing happened"
    run(storage, "failing")
    context = dg.build_sensor_context(instance=storage, cursor=first.cursor)
    second = alerts.report_since(context, project, time.time() + 60)
    context = dg.build_sensor_context(instance=storage, cursor=second.cursor)
    alerts.report_since(context, project, time.time() + 60)
    assert len(told(warehouse)) == 1


def test_events_that_are_still_being_written_wait(looker, storage, warehouse):
    run(storage, "failing")
    looker.look(later=0)  # within the seconds in which an event with a smaller number may still appear
    assert json.loads(looker.cursor)["events"]
    assert looker.look().skip_reason.skip_message == "1 reported"


def test_cursor_stays_while_the_warehouse_is_down(looker, storage, warehouse, monkeypatch):
    run(storage, "failing")
    before = looker.cursor
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://nobody@127.0.0.1:9/dteg")
    assert "1 reports wait" in looker.look().skip_message
    assert looker.cursor == before
    monkeypatch.setenv("DTEG_POSTGRES_URL", warehouse)
    looker.look()
    assert len(told(warehouse)) == 1


def test_freshness_is_told_when_it_changes(looker, storage, warehouse):
    for new, old in (("FAIL", "PASS"), ("PASS", "FAIL")):
        storage.report_runless_asset_event(
            FreshnessStateChange(
                key=dg.AssetKey("orders"), new_state=FreshnessState(new), previous_state=FreshnessState(old),
                state_change_timestamp=time.time(),
            )
        )  # fmt: skip
    looker.look()
    assert [row[:5] for row in told(warehouse)] == [
        ("freshness", "orders", "firing", "error", "orders is too old"),
        ("freshness", "orders", "resolved", "info", "orders is fresh"),
    ]


def test_run_of_picked_assets_is_called_by_their_names(looker, storage, warehouse):
    job = DEFINITIONS.resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=storage, asset_selection=[dg.AssetKey("orders")])
    looker.look()
    assert "orders" in [row[1] for row in told(warehouse) if row[0] == "run"]

"""The sensor of schema changes: entries in the history of a table's asset, and runs of pipelines that ask."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from dteg.core.errors import PermanentError
from dteg.schema_changes.models import ColumnChange, SchemaChange
from orchestration.lib import schema_changes

pytestmark = pytest.mark.integration


def make_change(number, table="raw.events", database="shop", **values):
    return SchemaChange.model_validate(
        {
            "id": number, "database": database, "at": datetime(2026, 11, 21, tzinfo=UTC),
            "noticed_at": datetime(2026, 11, 21, tzinfo=UTC), "found_by": "trigger", "who": "mina", "command": "ALTER TABLE",
            "kind": "table", "schema": "raw", "object": "events", "table": table, "ddl": "alter table raw.events ...",
            "columns": [ColumnChange(name="id", change="retyped", old_type="integer", new_type="bigint")], **values,
        }
    )  # fmt: skip


class Changes:
    """Stands in for the changes of a server."""

    kept: list = []  # noqa: RUF012
    error = None
    asked: list = []  # noqa: RUF012

    @classmethod
    def of(cls, project):
        return cls()

    def read(self, cursor=0, limit=500):
        self.asked.append(cursor)
        if self.error:
            raise self.error
        found = [change for change in self.kept if change.id > cursor]
        return found, found[-1].id if found else cursor


@pytest.fixture
def changes(monkeypatch):
    import dteg.schema_changes.service

    Changes.kept, Changes.error, Changes.asked = [], None, []
    monkeypatch.setattr(dteg.schema_changes.service, "SchemaChanges", Changes)
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://nobody@127.0.0.1:9/shop")
    return Changes


def look(folder, instance, cursor):
    definitions = folder.definitions()
    sensor = schema_changes.schema_changes_sensor(folder.project, schema_changes.wanted_by(definitions), 30)
    whole = dg.Definitions.merge(definitions, dg.Definitions(sensors=[sensor]))
    context = dg.build_sensor_context(instance=instance, cursor=cursor, definitions=whole)
    return sensor.evaluate_tick(context)


WATCH = "watch: {schema_changes: [raw.other, raw.events]}\nenabled: true"


def test_change_is_an_entry_in_the_history_of_its_table(folder, instance, changes):
    folder.pipeline("events")
    changes.kept = [make_change(4), make_change(7, table="raw.scratch"), make_change(9, database="elsewhere")]
    result = look(folder, instance, "3")
    (entry,) = result.asset_events
    assert changes.asked == [3]
    assert result.cursor == "9"
    assert entry.asset_key == dg.AssetKey(["raw", "events"])
    metadata = {name: value.value for name, value in entry.metadata.items()}
    assert (metadata["who"], metadata["command"], metadata["found_by"]) == ("mina", "ALTER TABLE", "trigger")
    assert metadata["at"] == datetime(2026, 11, 21, tzinfo=UTC).timestamp()
    (record,) = entry.metadata["columns"].records
    assert record.data == {
        "column": "id",
        "change": "retyped",
        "old type": "integer",
        "new type": "bigint",
        "new name": "-",
    }
    instance.report_runless_asset_event(entry)
    assert instance.fetch_observations(dg.AssetKey(["raw", "events"]), limit=2).records
    assert not result.run_requests


def test_pipeline_that_asks_runs_once_for_each_change(folder, instance, changes):
    folder.pipeline("events", extra=WATCH)
    folder.pipeline("asleep", extra="watch: {schema_changes: [raw.events]}")
    changes.kept = [make_change(4), make_change(5)]
    result = look(folder, instance, "0")
    assert [(each.job_name, each.run_key) for each in result.run_requests] == [
        ("events", "schema-change-4"), ("events", "schema-change-5"),
    ]  # fmt: skip
    assert not list(folder.definitions().get_repository_def().sensor_defs)  # the source is not looked at


def test_source_is_looked_at_too_where_that_is_asked_for(folder):
    folder.pipeline("events", extra="watch: {schema_changes: [raw.events], every_s: 30}")
    (sensor,) = folder.definitions().get_repository_def().sensor_defs
    assert sensor.name == "events_watch"


def test_first_look_fills_the_history_but_runs_nothing(folder, instance, changes):
    folder.pipeline("events", extra=WATCH)
    changes.kept = [make_change(4)]
    result = look(folder, instance, None)
    assert len(result.asset_events) == 1
    assert not result.run_requests


def test_table_of_another_location_is_known_by_its_history(folder, instance, changes):
    changes.kept = [make_change(4, table="marts.sales")]
    assert not look(folder, instance, "0").asset_events
    instance.report_runless_asset_event(dg.AssetMaterialization(["marts", "sales"]))
    assert len(look(folder, instance, "0").asset_events) == 1


@pytest.mark.parametrize("table", [None, "raw.with.dots"])
def test_change_of_what_is_no_asset_does_not_hold_up_the_others(folder, instance, changes, table):
    folder.pipeline("events")
    changes.kept = [make_change(4, table=table), make_change(5)]
    result = look(folder, instance, "0")
    assert len(result.asset_events) == 1
    assert result.cursor == "5"


def test_cursor_stays_while_changes_cannot_be_read(folder, instance, changes):
    folder.pipeline("events")
    changes.error = PermanentError("connection refused")
    result = look(folder, instance, "3")
    assert result.cursor in (None, "3")
    assert "connection refused" in result.skip_message

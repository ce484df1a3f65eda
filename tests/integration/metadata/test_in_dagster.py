"""The cache as an asset: collected by a run, its checks, its schedule, and a run after schema changes."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import dagster as dg
import pytest

from dteg.core.errors import PermanentError
from orchestration.lib import metadata_cache
from orchestration.lib.metadata_cache import SENSOR, after_changes, cache_definitions, cache_key

pytestmark = pytest.mark.integration


def make_definitions(project):
    return cache_definitions(project, ["warehouse"], "0 2 * * *", timezone="Asia/Seoul", every_s=60)


def test_a_run_collects_and_its_checks_tell_of_examples(collected):
    definitions = make_definitions(collected.project)
    (schedule,) = definitions.schedules
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "Asia/Seoul")
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("metadata_cache")
        first = job.execute_in_process(instance=instance)
        (made,) = first.asset_materializations_for_node("metadata__warehouse")
        assert made.asset_key == cache_key("warehouse")
        assert made.metadata["tables"].value == 4
        assert {each.check_name: each.passed for each in first.get_asset_check_evaluations()} == {
            "examples_valid": True, "score_kept": True,
        }  # fmt: skip
        collected.run("ALTER TABLE orders RENAME COLUMN status TO state")
        second = job.execute_in_process(instance=instance)
        assert {each.check_name: each.passed for each in second.get_asset_check_evaluations()} == {
            "examples_valid": False, "score_kept": False,
        }  # fmt: skip


class Changes:
    """Stands in for the changes of a server."""

    kept: list = []  # noqa: RUF012
    error = None

    @classmethod
    def of(cls, project):
        return cls()

    def read(self, cursor=0, limit=500):
        if self.error:
            raise self.error
        found = [each for each in self.kept if each.id > cursor]
        return found, max([cursor, *(each.id for each in found)])


def make_change(number, database, table="public.orders"):
    return SimpleNamespace(id=number, database=database, table=table)


def test_schema_changes_ask_for_one_run(studio_project, monkeypatch):
    from dteg.core.postgres import database_of

    here = database_of(studio_project.warehouse_url())
    changes = [
        make_change(1, here),
        make_change(2, here),
        make_change(3, "elsewhere"),
        make_change(4, here, None),
    ]
    monkeypatch.setattr("dteg.schema_changes.service.SchemaChanges", Changes)
    monkeypatch.setattr(Changes, "kept", changes)

    def look(cursor):
        return after_changes(dg.build_sensor_context(cursor=cursor), studio_project)

    assert look(None).run_requests == []  # what happened before nobody saw
    (request,) = look("0").run_requests
    assert (request.run_key, request.asset_selection) == ("metadata-after-2", [cache_key("warehouse")])
    assert look("0").cursor == "4"
    assert look("2").run_requests == []
    monkeypatch.setattr(Changes, "error", PermanentError("no"))
    assert isinstance(look("0"), dg.SkipReason)


def test_the_component_is_what_the_file_says(studio_project):
    made = metadata_cache.MetadataCache(sources=["warehouse"]).build_defs(None)
    assert [sensor.name for sensor in made.sensors] == [SENSOR]
    assert made.get_repository_def().has_job("metadata_cache")


def test_a_cron_job_collects(collected):
    context = SimpleNamespace(log=SimpleNamespace(info=lambda text: None))
    from dteg.cron.actions import parse_action
    from orchestration.lib.cron import operate

    said = operate(context, parse_action("metadata warehouse"), collected.project)
    assert said.startswith(
        "warehouse: nothing differs from version 1, 4 tables (0 read), 2 of 2 examples valid"
    )


def test_the_sensor_tells_of_a_cache_that_is_about_to_expire(shop, monkeypatch):
    told = []
    monkeypatch.setattr(
        "dteg.metadata.expiry.ExpiryWatch.__init__.__defaults__", (lambda _, each: told.append(each),)
    )
    monkeypatch.setattr(metadata_cache, "_watched", {})
    monkeypatch.setattr(metadata_cache, "_watches", {})
    shop.now = datetime.now(UTC) - timedelta(hours=27)
    shop.metadata.collect()
    metadata_cache.watch_expiry(shop.project)
    assert [(each.subject, each.severity.value) for each in told] == [("metadata warehouse", "warning")]
    metadata_cache.watch_expiry(shop.project)
    assert len(told) == 1

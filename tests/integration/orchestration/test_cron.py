"""A folder of cron jobs: what each file becomes in Dagster, and what its runs do."""

import textwrap
from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import pytest

from dteg.core.errors import PermanentError, TransientError
from dteg.cron.names import CRON_TAG, MESSAGE_TAG
from dteg.cron.spec import cron_files
from orchestration.lib import backups, cron

pytestmark = pytest.mark.integration


def add(folder, name, action, **more):
    root = folder.project.root / "cron"
    root.mkdir(exist_ok=True)
    lines = "".join(f"  {key}: {value}\n" for key, value in more.items())
    path = root / f"{name}.yaml"
    path.write_text(f"cron:\n  name: {name}\n  schedule: 0 2 * * *\n  action: {action}\n{lines}")
    return path


def definitions(folder):
    pipelines = folder.definitions()
    made = cron.cron_definitions(cron_files(folder.project), folder.project, pipelines)
    return dg.Definitions.merge(pipelines, made)


def schedules(definitions):
    return {each.name: each for each in definitions.get_repository_def().schedule_defs}


def run(folder, name, instance):
    job = definitions(folder).resolve_job_def(f"cron__{name}")
    return job.execute_in_process(instance=instance, raise_on_error=False)


class Backups:
    """Stands in for the backups of a server."""

    errors: list[Exception] = []  # noqa: RUF012
    made: list = []  # noqa: RUF012

    @classmethod
    def of(cls, project):
        return cls()

    def create(self, new):
        if self.errors:
            raise self.errors.pop(0)
        now = datetime(2026, 11, 21, len(self.made), tzinfo=UTC)
        backup = SimpleNamespace(
            id=f"{new.database}-{len(self.made)}", database=str(new.database), target="file:///b", rows=3, tables=1,
            bytes=10, encrypted=new.encrypt, started_at=now, finished_at=now,
        )  # fmt: skip
        self.made.append(backup)
        return backup

    def all(self):
        return self.made[::-1]

    def verify(self, backup_id, *, restore):
        assert restore
        if backup_id.startswith("torn"):
            raise PermanentError("table orders is not as it was")
        return SimpleNamespace(id=backup_id, tables=1, rows=3, seconds=0.1)


@pytest.fixture
def server(monkeypatch):
    import dteg.backups.service

    Backups.errors, Backups.made = [], []
    monkeypatch.setattr(dteg.backups.service, "Backups", Backups)
    return Backups


def test_schedule_has_what_the_file_says(folder):
    add(folder, "nightly", "backup shop", timezone="Asia/Seoul", description="Every night.")
    add(folder, "off", "prune", enabled="false", tags="{team: data}")
    found = schedules(definitions(folder))
    nightly, off = found["cron__nightly"], found["cron__off"]
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("0 2 * * *", "Asia/Seoul")
    assert nightly.default_status == dg.DefaultScheduleStatus.RUNNING
    assert nightly.description == "Every night."
    assert off.default_status == dg.DefaultScheduleStatus.STOPPED
    with dg.build_schedule_context() as context:
        (request,) = off.evaluate_tick(context).run_requests
    assert request.tags[CRON_TAG] == "off"
    assert request.tags["team"] == "data"


def test_job_of_a_pipeline_is_the_pipelines_own(folder, instance):
    folder.pipeline("events")
    add(folder, "load", "run pipeline events")
    made = definitions(folder)
    assert schedules(made)["cron__load"].job_name == "events"
    assert {
        job.name for job in made.get_repository_def().get_all_jobs() if not job.name.startswith("__")
    } == {"events"}


def test_broken_files_become_failing_checks_and_the_others_load(folder, instance):
    folder.pipeline("good")
    folder.write("bad_pipeline", "pipeline: {}\n")
    add(folder, "fine", "prune")
    add(folder, "gone", "run pipeline nowhere")
    add(folder, "word", "prune", shedule="x")
    (folder.project.root / "cron" / "torn.yaml").write_text("cron: [")
    made = definitions(folder)
    assert set(schedules(made)) == {"cron__fine"}
    keys = {key.to_user_string() for key in made.get_repository_def().asset_graph.get_all_asset_keys()}
    assert keys == {"raw/good", "dteg_config/bad_pipeline"} | {
        f"dteg_config/cron/{name}" for name in ("gone", "word", "torn")
    }
    job = made.resolve_implicit_global_asset_job_def()
    said = {}
    for name in ("gone", "word"):
        key = dg.AssetKey(["dteg_config", "cron", name])
        result = job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False)
        (check,) = result.get_asset_check_evaluations()
        assert (result.success, check.passed) == (False, False)
        said[name] = check.description
    assert "cron/gone.yaml" in said["gone"]
    assert "pipeline 'nowhere' is not loaded" in said["gone"]
    assert said["word"].startswith("cron/word.yaml:5: cron.shedule: unknown key")
    sensors = {sensor.name for sensor in made.get_repository_def().sensor_defs}
    assert sensors == {"check_configuration", "check_cron_configuration"}


def test_name_that_a_pipeline_has_is_refused(folder):
    folder.pipeline("cron__nightly")
    add(folder, "nightly", "prune")
    made = definitions(folder)
    assert schedules(made) == {}
    assert made.get_repository_def().asset_graph.has(dg.AssetKey(["dteg_config", "cron", "nightly"]))


def test_backup_is_an_asset_and_its_run_tells_what_it_made(folder, instance, server):
    add(folder, "nightly", "backup shop --encrypt")
    result = run(folder, "nightly", instance)
    assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["backups", "shop"])
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (metadata["backup_id"], metadata["encrypted"], metadata["tables"]) == ("shop-0", True, 1)
    tags = instance.get_run_by_id(result.run_id).tags
    assert tags[CRON_TAG] == "nightly"
    assert "shop-0" in tags[MESSAGE_TAG]
    assert not result.get_asset_check_evaluations()  # a restore of everything has its own time


def test_backup_is_tried_again_as_often_as_the_file_says(folder, instance, server):
    retry = "{max_attempts: 3, base_delay_s: 0.01, max_delay_s: 0.01}"
    add(folder, "nightly", "backup shop", retry=retry)
    server.errors = [TransientError("connection lost")] * 2
    assert run(folder, "nightly", instance).success
    server.errors = [TransientError("connection lost")] * 3
    failed = run(folder, "nightly", instance)
    assert not failed.success
    assert server.errors == []
    assert instance.get_run_by_id(failed.run_id).tags[MESSAGE_TAG] == "connection lost"
    server.errors = [PermanentError("no such database")] * 2
    assert not run(folder, "nightly", instance).success
    assert len(server.errors) == 1  # trying again could not help


def test_restore_check_looks_at_the_last_backup(folder, instance, server):
    add(folder, "nightly", "backup torn")
    key = dg.AssetCheckKey(dg.AssetKey(["backups", "torn"]), "restore_verified")
    checks = dg.Definitions(jobs=[dg.define_asset_job("checks", selection=dg.AssetSelection.checks(key))])

    def look():
        job = dg.Definitions.merge(definitions(folder), checks).resolve_job_def("checks")
        (found,) = job.execute_in_process(instance=instance).get_asset_check_evaluations()
        return found.passed, found.description

    assert look() == (False, "there is no backup of torn yet")
    assert run(folder, "nightly", instance).success
    assert look() == (False, "torn-0: table orders is not as it was")


def test_verify_backups_goes_through_all_databases_and_fails_with_the_worst(folder, instance, server):
    add(folder, "weekly", "verify backups")
    add(folder, "nightly", "backup shop")
    assert run(folder, "weekly", instance).success
    assert run(folder, "nightly", instance).success
    for database in ("torn", "shop"):
        server().create(SimpleNamespace(database=database, encrypt=False))
    result = run(folder, "weekly", instance)
    assert not result.success
    tags = instance.get_run_by_id(result.run_id).tags
    assert tags[MESSAGE_TAG].startswith("1 of 2 backups cannot be restored: torn-1: table orders")
    key = dg.AssetCheckKey(backups.backup_key("shop"), "restore_verified")
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event.dagster_event.asset_check_evaluation_data.passed
    assert "shop-2" in record.event.dagster_event.asset_check_evaluation_data.description


def test_location_of_this_repository_has_the_jobs_of_its_project(tmp_path, monkeypatch):
    from orchestration.definitions import build

    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "cron").mkdir()
    (tmp_path / "cron" / "tidy.yaml").write_text(
        textwrap.dedent("""
        cron:
          name: tidy
          schedule: 0 4 * * 0
          action: prune --older-than 2w
        """)
    )
    repository = build().get_repository_def()
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "cron__tidy",
        "metadata_cache_schedule",
    }
    assert {sensor.name for sensor in repository.sensor_defs} >= {
        "schema_changes", "report_to_alerts", "deliver_alerts",
    }  # fmt: skip

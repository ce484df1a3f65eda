"""What is asked of Dagster's web server, and what is made of its answers."""

import time

import httpx
import pytest

from dteg.core.errors import ConfigError, NotFoundError, PermanentError, UnavailableError
from dteg.core.processes import register
from dteg.core.project import Project
from dteg.cron.models import RunState
from dteg.cron.scheduler import RunningDagster, StoredDagster, scheduler_of
from dteg.cron.spec import CronSpec
from dteg.orchestrator import program
from dteg.orchestrator.page import DagsterPage

GOOD = {"__typename": "RepositoryLocation", "repositories": [{"name": "__repository__"}]}
SPEC = CronSpec(name="nightly", schedule="0 2 * * *", action="prune")


def entry(inside, name="dteg"):
    return {
        "__typename": "WorkspaceLocationEntry",
        "name": name,
        "loadStatus": "LOADED",
        "locationOrLoadError": inside,
    }


class Page(DagsterPage):
    """Answers as a web server would whose schedule is in `state`."""

    def __init__(self, inside=GOOD, state="STOPPED", started=None, name="dteg"):
        super().__init__("http://127.0.0.1:9")
        self.inside, self.state, self.started, self.name = inside, state, started, name
        self.asked = []
        self.description = ""

    def query(self, text, *, timeout_s=0, **variables):
        if "workspaceOrError" in text:
            return {
                "workspaceOrError": {
                    "__typename": "Workspace",
                    "locationEntries": [entry(self.inside, self.name)],
                }
            }
        if "reloadRepositoryLocation" in text:
            self.asked.append("reload")
            return {"reloadRepositoryLocation": entry(self.inside)}
        if "startSchedule" in text:
            self.asked.append("start")
            self.state, self.started = "RUNNING", time.time()
            return {"startSchedule": {"__typename": "ScheduleStateResult"}}
        if "stopRunningSchedule" in text:
            self.asked.append("stop")
            self.state = "STOPPED"
            return {"stopRunningSchedule": {"__typename": "ScheduleStateResult"}}
        if "assetNodes" in text:
            return {"assetNodes": [{"description": self.description}] if self.description else []}
        if self.state is None:
            return {"scheduleOrError": {"__typename": "ScheduleNotFoundError", "message": "no"}}
        data = {"startTimestamp": self.started}
        state = {"id": "1:2", "status": self.state, "typeSpecificData": data}
        return {"scheduleOrError": {"__typename": "Schedule", "name": "x", "scheduleState": state}}


def test_location_that_failed_is_not_believed_to_be_loaded():
    """Dagster says LOADED of it: only what is inside tells. Believing the outside makes this test fail."""
    inside = {
        "__typename": "PythonError",
        "message": "Error loading",
        "causes": [{"message": "ValueError: boom\n"}],
    }
    page = Page(inside)
    with pytest.raises(ConfigError, match="dteg does not load: ValueError: boom"):
        RunningDagster(page).take_up(SPEC)
    assert page.asked == ["reload"]


def test_location_that_still_loads_is_asked_for_later():
    with pytest.raises(UnavailableError, match="still loads"):
        RunningDagster(Page(None)).states()


def test_dagster_of_something_else_is_refused():
    with pytest.raises(NotFoundError, match="only: theirs"):
        RunningDagster(Page(name="theirs")).reload()


@pytest.mark.parametrize(
    ("enabled", "state", "started", "asked"),
    [
        (True, "RUNNING", None, ["reload"]),  # its file says so: nothing has to be stored
        (False, "STOPPED", None, ["reload"]),
        (True, "STOPPED", None, ["reload", "start"]),  # an older job of this name was stopped by hand
        (False, "RUNNING", 5.0, ["reload", "stop"]),
        (True, "RUNNING", 5.0, ["reload", "stop", "start"]),  # else its last tick would count as missed
    ],
)
def test_schedule_is_brought_to_what_the_file_says(enabled, state, started, asked):
    page = Page(state=state, started=started)
    RunningDagster(page).take_up(SPEC.model_copy(update={"enabled": enabled}))
    assert page.asked == asked
    assert (page.state == "RUNNING") is enabled


def test_missing_schedule_tells_what_its_stand_in_says():
    page = Page(state=None)
    page.description = "cron/nightly.yaml cannot be loaded, so ...\n\n```\ncron/nightly.yaml: boom\n```"
    with pytest.raises(ConfigError) as caught:
        RunningDagster(page).take_up(SPEC)
    assert str(caught.value) == "cron/nightly.yaml: boom"
    page.description = ""
    with pytest.raises(ConfigError, match="no schedule for cron job 'nightly'"):
        RunningDagster(page).switch(["nightly"], on=True)


def test_what_is_so_already_is_left_alone():
    for on in (True, False):
        page = Page(state="RUNNING" if on else "STOPPED")
        RunningDagster(page).switch(["nightly"], on=on)
        assert page.asked == []
    RunningDagster(Page(state=None)).switch(["nightly"], on=False)


def test_server_that_does_not_answer_is_unavailable(monkeypatch):
    def refuse(*args, **options):
        raise httpx.ConnectError("connection refused")

    monkeypatch.setattr(httpx.Client, "post", refuse)
    with pytest.raises(UnavailableError, match="does not answer"):
        DagsterPage("http://127.0.0.1:9").query("query { version }")


def test_dagster_is_found_by_its_registration_or_its_url(tmp_path, monkeypatch):
    import os

    monkeypatch.delenv("DTEG_DAGSTER_URL", raising=False)
    project = Project(tmp_path)
    assert isinstance(scheduler_of(project), StoredDagster)
    register(project, "dagster", os.getpid(), 3123)
    assert scheduler_of(project).page.url == "http://127.0.0.1:3123"
    monkeypatch.setenv("DTEG_DAGSTER_URL", "http://dagster:3000/")
    assert scheduler_of(project).page.url == "http://dagster:3000"


def test_runs_and_ticks_are_one_history():
    class Answering(Page):
        def query(self, text, **variables):
            if "runsOrError" not in text:
                return super().query(text, **variables)
            run = {
                "runId": "r1", "status": "FAILURE", "creationTime": 90.0, "startTime": 100.0, "endTime": 102.5,
                "tags": [{"key": "dteg/message", "value": "disk full"}],
            }  # fmt: skip
            waiting = {
                **run,
                "runId": "r2",
                "status": "QUEUED",
                "startTime": None,
                "endTime": None,
                "tags": [],
            }
            tick = {"timestamp": 200.0, "error": {"message": "Error\ngrpc is gone"}}
            return {"runs0": {"results": [run, waiting]}, "ticks0": {"ticks": [tick]}}

    found = RunningDagster(Answering()).runs(["nightly"], 10)
    assert [(run.state, run.message, run.duration_s) for run in found] == [
        (RunState.NOT_STARTED, "grpc is gone", None),
        (RunState.FAILED, "disk full", 2.5),
        (RunState.WAITING, "", None),
    ]
    assert RunningDagster(Answering()).runs([], 10) == []


def test_storage_is_asked_only_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    project = Project(tmp_path)
    asked = []
    monkeypatch.setattr(
        "dteg.cron.scheduler.ask", lambda project, command, **more: asked.append(command) or {}
    )
    StoredDagster(project).take_up(SPEC)
    assert (StoredDagster(project).states(), asked) == ({}, [])
    (project.dagster_home / "schedules").mkdir(parents=True)
    assert not program.has_storage(project)
    (project.dagster_home / "schedules" / "schedules.db").touch()
    StoredDagster(project).take_up(SPEC)
    assert asked == ["cron-forget"]


def test_storage_on_a_server_counts_too(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    project = Project(tmp_path)
    project.dagster_home.mkdir(parents=True)
    (project.dagster_home / "dagster.yaml").write_text("# storage:\n")
    assert not program.has_storage(project)
    (project.dagster_home / "dagster.yaml").write_text("storage:\n  postgres: {}\n")
    assert program.has_storage(project)


def test_error_of_the_other_process_keeps_its_kind(tmp_path, monkeypatch):
    def answering(*lines, code=0):
        done = type(
            "Done", (), {"stdout": "\n".join(lines), "stderr": "Traceback\nlast line", "returncode": code}
        )
        monkeypatch.setattr(program.subprocess, "run", lambda *args, **options: done)

    project = Project(tmp_path)
    answering("noise", '{"result": [1]}')
    assert program.ask(project, "prune") == [1]
    answering('{"error": "wrong", "class": "ConfigError"}', code=1)
    with pytest.raises(ConfigError, match="wrong"):
        program.ask(project, "prune")
    answering('{"error": "locked", "class": "SystemExit"}', code=1)
    with pytest.raises(PermanentError, match="locked"):
        program.ask(project, "prune")
    answering("nothing", code=-9)
    with pytest.raises(PermanentError, match="exit code -9"):
        program.ask(project, "prune")

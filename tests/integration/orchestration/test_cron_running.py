"""Cron jobs against a real `make dev`: web server, daemon and code server, started once for this file.

The tests are one story, in the order in which they stand here: each goes on where the one before has stopped.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from dteg.core.errors import ConfigError
from dteg.core.processes import registered, stop_all
from dteg.core.project import Project
from dteg.cron.models import JobState, NewCronJob, RunState
from dteg.cron.scheduler import RunningDagster, StoredDagster
from dteg.cron.service import CronJobs
from dteg.testing import fresh_port
from dteg.testing.servers import database

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[3]
# The location of this repository, but for a file that makes it fail as a whole, once.
LOCATION = """
from pathlib import Path
boom = Path(__file__).parent / "boom"
if boom.exists():
    boom.unlink()
    raise RuntimeError("the location is broken on purpose")
from orchestration.definitions import build
defs = build()
"""
WORKSPACE = "load_from:\n  - python_file: {relative_path: location.py, location_name: dteg}\n"
SETTINGS = "telemetry: {enabled: false}\n"


@pytest.fixture(scope="module")
def story(tmp_path_factory, postgres_server):
    """A project whose Dagster runs."""
    root = tmp_path_factory.mktemp("running")
    (root / "pipelines").mkdir()
    for name, text in (("location.py", LOCATION), ("workspace.yaml", WORKSPACE), ("dagster.yaml", SETTINGS)):
        (root / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch, database(postgres_server) as url:
        for name, value in {
            "DTEG_HOME": str(root), "DTEG_POSTGRES_URL": url, "DTEG_DAGSTER_PORT": str(fresh_port()),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.delenv("DAGSTER_HOME", raising=False)
        patch.delenv("DTEG_DAGSTER_URL", raising=False)
        project = Project(root)
        process = start(project)
        try:
            yield project
        finally:
            end(project, process)


def start(project):
    # The handler that a program from a shell has; see conftest.py for why it may be another one here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        log = (project.state_dir / "dev.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.dev"],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=project.root,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    url = f"http://127.0.0.1:{os.environ['DTEG_DAGSTER_PORT']}/server_info"
    wait(lambda: answers(url), 150, project)
    return process


def end(project, process):
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    stop_all(project)


def answers(url):
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def wait(condition, seconds, project):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s:\n{(project.state_dir / 'dev.log').read_text()[-4000:]}")
        time.sleep(0.5)
    return found


@pytest.fixture
def cron(story):
    return CronJobs.of(story)


def make_new(name="tick", **values):
    return NewCronJob(**{"name": name, "schedule": "* * * * *", "action": "prune --older-than 1d", **values})


def test_job_that_is_added_while_dagster_runs_runs_at_once(cron):
    assert isinstance(cron.scheduler, RunningDagster)
    job = cron.add(make_new())
    assert (job.state, job.problem) == (JobState.RUNNING, "")
    assert cron.scheduler.states() == {"tick": True}


def test_location_that_does_not_load_puts_the_file_back(cron, story):
    before = (story.root / "cron" / "tick.yaml").read_text()
    (story.root / "boom").touch()
    with pytest.raises(ConfigError, match="the location is broken on purpose"):
        cron.add(make_new(schedule="0 5 * * *", replace=True))
    assert [path.name for path in (story.root / "cron").iterdir()] == ["tick.yaml"]
    assert (story.root / "cron" / "tick.yaml").read_text() == before
    assert cron.scheduler.states() == {"tick": True}  # it was loaded with the old file, and runs as before


def test_its_time_comes_and_the_action_is_done(cron, story):
    def ended():
        runs = cron.history("tick")
        return [run for run in runs if run.state not in (RunState.WAITING, RunState.RUNNING)]

    (run, *_) = wait(ended, 180, story)
    assert run.state is RunState.SUCCEEDED, run
    assert run.message.startswith("removed 0 runs")
    assert run.duration_s > 0
    assert cron.get("tick").last_run.run_id


def test_stop_and_start_take_effect_at_once_and_are_kept_in_the_file(cron, story):
    (job,) = cron.stop(["tick"])
    assert (job.state, cron.scheduler.states()) == (JobState.STOPPED, {"tick": False})
    assert "enabled: false" in (story.root / "cron" / "tick.yaml").read_text()
    cron.start()
    assert cron.scheduler.states() == {"tick": True}


def test_removed_job_is_stopped_and_gone(cron, story):
    cron.remove("tick")
    assert cron.scheduler.states() == {}
    assert cron.jobs() == []


def test_without_dagster_the_file_decides_though_a_state_is_stored(cron, story):
    """Its removal has left behind that the schedule was stopped: a new job of that name must not inherit that."""
    (server,) = [each for each in registered(story) if each.name == "dagster"]
    stop_all(story)
    wait(lambda: not server.is_running(), 60, story)
    scheduler = cron.scheduler
    assert isinstance(scheduler, StoredDagster)
    assert scheduler.states() == {"tick": False}
    job = cron.add(make_new())
    assert job.state is JobState.RUNNING  # it was asked what is stored, after that was deleted
    assert job.last_run.state is RunState.SUCCEEDED  # the run of before

import json
import os
import signal
import subprocess
import sys

import pytest

from dteg.core.processes import Server, register, registered, start_time, stop_all
from dteg.core.project import Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://nowhere/x")  # no embedded server to stop
    return Project(tmp_path)


@pytest.fixture
def sleeper():
    made = []

    def start(code="import time; print(1, flush=True); time.sleep(60)"):
        made.append(subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE))
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_start_time_stays_and_a_dead_process_has_none(sleeper):
    process = sleeper()
    assert start_time(process.pid) == start_time(process.pid) != ""
    process.kill()
    process.wait()
    assert start_time(process.pid) == ""


def test_a_zombie_does_not_run(sleeper):
    process = sleeper("pass")
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert start_time(process.pid) == ""


def test_a_registered_server_is_stopped_and_forgotten(project, sleeper):
    process = sleeper()
    process.stdout.readline()  # an interrupt while Python starts has another exit code
    server = register(project, "dagster", process.pid, 3000)
    assert registered(project) == [server]
    assert stop_all(project) == ["dagster"]
    assert process.wait(60) == -signal.SIGINT
    assert registered(project) == []
    assert stop_all(project) == []


def test_another_process_with_the_same_id_is_left_alone(project, sleeper):
    process = sleeper()
    register(project, "dagster", process.pid)
    path = project.state_dir / "servers" / "dagster.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": "1"}))
    assert stop_all(project) == []
    assert process.poll() is None
    assert not path.exists()


def test_a_server_that_had_ended_before_it_was_registered_does_not_run(project, sleeper):
    process = sleeper("pass")
    process.wait()
    assert not register(project, "dagster", process.pid).is_running()
    assert registered(project) == []
    assert not Server("x", process.pid, "").is_running()


def test_a_server_that_ignores_the_polite_signals_is_killed(project, sleeper, monkeypatch):
    monkeypatch.setattr("dteg.core.processes.STOP_TIMEOUT_S", 0.6)
    code = "import signal, time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; print(1, flush=True); time.sleep(60)"
    process = sleeper(code)
    process.stdout.readline()
    register(project, "stubborn", process.pid)
    assert stop_all(project) == ["stubborn"]
    assert process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("content", ["", '{"name": "x"', "[]", '{"other": 1}'])
def test_a_file_that_a_crash_cut_off_is_forgotten(project, content):
    folder = project.state_dir / "servers"
    folder.mkdir()
    (folder / "x.json").write_text(content)
    assert registered(project) == []
    assert not (folder / "x.json").exists()

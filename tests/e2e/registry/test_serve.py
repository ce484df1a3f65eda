"""`dteg registry serve --embedded` as somebody uses it who tries it out."""

import contextlib
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from dteg.core.document_server import find_program
from dteg.core.errors import EnvironmentProblemError
from dteg.testing.servers import fresh_port
from registry.testing import NO_TLS

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
DTEG = [sys.executable, "-c", "from dteg.cli import main; main()", "registry"]
PASSWORD = "a long test sentence"


@pytest.fixture(autouse=True)
def _program():
    try:
        find_program()
    except EnvironmentProblemError as error:
        pytest.skip(str(error))


class Served:
    """The program, with what it prints."""

    def __init__(self, folder, *options, **environment):
        self.port, self.data = fresh_port(), folder / "data"
        self.log, self.environment = folder / "log", environment
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DTEG_")}
        given = {name: os.environ[name] for name in ("DTEG_SECANTUSD",) if name in os.environ}
        self.process = subprocess.Popen(
            [*DTEG, "serve", "--embedded", "--port", str(self.port), "--data-dir", str(self.data), *options],
            stdout=self.log.open("wb"), stderr=subprocess.STDOUT, env={**clean, **given, **environment},
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}"

    def wait(self):
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", verify=NO_TLS).status_code == 200:
                    return self
            time.sleep(0.2)
        raise AssertionError(self.text)

    @property
    def text(self):
        return self.log.read_text()

    def children(self):
        """Return the ids of all processes below ours."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    parents[int(entry.name)] = int(fields[1])
        found, todo = [], [self.process.pid]
        while todo:
            mine = [pid for pid, parent in parents.items() if parent == todo[0]]
            found, todo = found + mine, todo[1:] + mine
        return found

    def login(self, password, name="admin"):
        form = {"grant_type": "password", "username": name, "password": password}
        return httpx.post(f"{self.url}/api/v1/oauth/token", data=form, verify=NO_TLS, timeout=60)

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(40)


@pytest.fixture
def served(tmp_path):
    running = []

    def start(*options, **environment):
        running.append(Served(tmp_path, *options, **environment).wait())
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


def alive(pids):
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):  # it may end between any two looks at it
            found += [] if " Z " in Path(f"/proc/{pid}/stat").read_text() else [pid]
    return found


def wait_for_the_end_of(pids, seconds=30):
    deadline = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(pids) == []


def test_it_starts_makes_an_admin_keeps_its_data_and_leaves_nothing_behind(served, tmp_path):
    first = served("--workers", "2")
    assert f"registry: {first.url}" in first.text
    password = re.search(r"password (\S+) ", first.text)[1]
    token = first.login(password).json()["access_token"]
    client = httpx.Client(headers={"Authorization": f"Bearer {token}"}, verify=NO_TLS, timeout=60)
    assert client.post(f"{first.url}/api/v1/namespaces", json={"name": "dteg"}).status_code == 201
    for name in ("login.key", "mongodb.password", "mongodb.log"):
        assert stat.S_IMODE((first.data / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(first.data.stat().st_mode) == 0o700
    assert (first.data / "mongodb.password").read_text() not in first.text

    checked = subprocess.run(
        [*DTEG, "verify-audit", "--embedded", "--data-dir", str(first.data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, "2 entries" in checked.stdout) == (0, True), checked.stderr
    again = subprocess.run(
        [*DTEG, "serve", "--embedded", "--port", "1", "--data-dir", str(first.data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 3
    assert "already runs" in again.stderr

    children = first.children()
    assert len(children) >= 3
    assert first.end(signal.SIGTERM) == 0
    wait_for_the_end_of(children)
    assert "Traceback" not in first.text

    second = served("--workers", "1")
    assert "administrator" not in second.text
    assert httpx.get(f"{second.url}/api/v1/namespaces/dteg", verify=NO_TLS, timeout=60).status_code == 200
    assert second.login(password).status_code == 200
    children = second.children()
    second.end(signal.SIGINT)
    wait_for_the_end_of(children)
    assert "Traceback" not in second.text


def test_killed_without_warning_it_takes_its_children_along_and_starts_again(served):
    first = served("--workers", "2", DTEG_REGISTRY_ADMIN_PASSWORD=PASSWORD)
    assert PASSWORD not in first.text
    assert first.login(PASSWORD).status_code == 200
    children = first.children()
    first.end(signal.SIGKILL)
    wait_for_the_end_of(children)
    second = served("--workers", "2")
    assert second.login(PASSWORD).status_code == 200


def test_an_admin_can_be_made_beside_a_running_registry(served, tmp_path):
    running = served("--workers", "1", DTEG_REGISTRY_GATE_WORKERS="0")
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    made = subprocess.run(
        [*DTEG, "create-admin", "grace", "--embedded", "--data-dir", str(running.data)], capture_output=True, text=True,
        check=False, env={**os.environ, "DTEG_REGISTRY_ADMIN_PASSWORD": f"secret://file/{secret}"},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    got = running.login(PASSWORD, "grace")
    assert "admin" in got.json()["scope"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["serve", "--embedded", "--host", "0.0.0.0"], 2, "in the clear"),
        (["serve"], 2, "DTEG_MONGODB_URL"),
        (["serve", "--port", "x"], 2, "port"),
        (["create-admin", "Not A Login", "--data-dir", "x"], 2, ""),
        (["no-such-command"], 2, "No such command"),
        (["--help"], 0, "create-admin"),
        (["serve", "--help"], 0, "--behind-tls-proxy"),
    ],
)
def test_wrong_calls_say_what_to_do(tmp_path, arguments, code, message):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DTEG_")}
    done = subprocess.run(
        [*DTEG, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path, env=clean, timeout=120
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_server_it_says_how_to_get_it(tmp_path):
    done = subprocess.run(
        [*DTEG, "serve", "--embedded", "--data-dir", str(tmp_path / "d")], capture_output=True, text=True, check=False,
        env={**os.environ, "DTEG_SECANTUSD": str(tmp_path / "nothing")}, timeout=120,
    )  # fmt: skip
    assert (done.returncode, "DTEG_SECANTUSD" in done.stderr) == (3, True)

"""What `make dev` does around Dagster's own server, with a small server in its place."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.processes import register, registered, start_time, stop_all
from dteg.core.project import Project
from dteg.testing import fresh_port
from orchestration import dev

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
# Stands in for `dagster dev`: answers, and ends on SIGINT only if its disposition was left alone.
STAND_IN = """
import sys
from orchestration import dev
server = '''
import http.server, signal, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *args): pass
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN: sys.exit("SIGINT is ignored")
# As a code server does, a child stays behind when its parent ends.
import subprocess
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
print("left behind:", left.pid, flush=True)
try: http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
except KeyboardInterrupt: print("ended in order", flush=True)
'''
dev.command = lambda project, port: [sys.executable, "-c", server, str(port)]
sys.exit(dev.main())
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://nobody@127.0.0.1:9/dteg")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return Project(tmp_path)


@pytest.fixture
def server(project, monkeypatch):
    """A `make dev` that has come up, started as a shell starts a background job: with SIGINT ignored."""
    port = fresh_port()
    monkeypatch.setenv("DTEG_DAGSTER_PORT", str(port))
    monkeypatch.setenv("PYTHONPATH", str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", STAND_IN], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    for line in process.stdout:
        if line.startswith("left behind:"):
            process.left_behind = int(line.split()[-1])
        if "is ready" in line:
            break
    process.url = f"http://127.0.0.1:{port}"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    stop_all(project)


def test_server_is_registered_and_ends_in_order_on_sigterm(project, server):
    (known,) = registered(project)
    assert known.name == "dagster"
    assert os.getpgid(known.pid) == known.pid
    assert server.url.endswith(f":{known.port}")
    with urllib.request.urlopen(server.url, timeout=60) as reply:
        assert reply.status == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    assert "ended in order" in server.stdout.read()
    assert registered(project) == []
    assert not start_time(server.left_behind)


def test_dteg_stop_ends_it(project, server):
    started = time.monotonic()
    assert stop_all(project) == ["dagster"]
    assert server.wait(60) == 0
    assert time.monotonic() - started < 60  # what it left behind would sleep for two minutes


def test_second_server_and_busy_port_are_refused(project, server):
    known = registered(project)[0]
    with pytest.raises(EnvironmentProblemError, match="runs already"):
        dev.refuse_busy(project, known.port)
    elsewhere = Project(project.root / "pipelines")
    with pytest.raises(EnvironmentProblemError, match=f"DTEG_DAGSTER_PORT={known.port + 1} make dev"):
        dev.refuse_busy(elsewhere, known.port)


def test_server_that_has_ended_is_not_in_the_way(project):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    register(project, "dagster", ended.pid, 3000)
    ended.wait()
    dev.refuse_busy(project, fresh_port())


@pytest.mark.parametrize("text", ["0", "65536", "web", "-1"])
def test_port_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv("DTEG_DAGSTER_PORT", text)
    with pytest.raises(ConfigError, match="is not a port"):
        dev.chosen_port()


def test_workspace_of_the_project_is_used_where_there_is_one(project):
    assert "-m" in dev.command(project, 1)[3:]
    (project.root / "workspace.yaml").touch()
    assert str(project.root / "workspace.yaml") in dev.command(project, 1)

"""`dteg studio` as somebody uses it: start, log in with the printed link, ask from elsewhere, stop."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import httpx
import pytest

from dteg.core.processes import registered
from dteg.testing.servers import fresh_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
DTEG = [sys.executable, "-c", "from dteg.cli import main; main()"]


class Served:
    """The program, with what it prints."""

    def __init__(self, project, folder, *options):
        self.project, self.port, self.log = project, fresh_port(), folder / f"log-{time.monotonic_ns()}"
        self.process = subprocess.Popen(
            [*DTEG, "studio", "--port", str(self.port), *options], stdout=self.log.open("wb"), stderr=subprocess.STDOUT
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}"

    def wait(self):
        deadline = time.monotonic() + 150
        while time.monotonic() < deadline and self.process.poll() is None:
            if "log in: " in self.text:
                return self
            time.sleep(0.1)
        raise AssertionError(self.text)

    @property
    def text(self):
        return self.log.read_text()

    @property
    def link(self):
        return re.search(r"log in: (\S+)", self.text)[1]


@pytest.fixture
def serve(studio_project, tmp_path):
    made = []

    def start(*options):
        made.append(Served(studio_project, tmp_path, *options))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(30)


def dteg(*arguments, **environment):
    return subprocess.run(
        [*DTEG, *arguments], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )  # fmt: skip


def test_start_log_in_use_and_stop(serve):
    served = serve().wait()
    assert served.text.startswith(f"studio: {served.url} (Ctrl-C or dteg stop ends it)\n")
    with httpx.Client(trust_env=False, follow_redirects=True, timeout=60) as browser:
        assert "You are logged in." in browser.get(served.link).text
    # Another link, and a token made here and there: the own token is found for the own studio.
    link = dteg("studio", "link")
    assert httpx.get(link.stdout.strip(), timeout=60).status_code == 303, link.stderr
    made = dteg("studio", "token", "create", "ci", "--scope", "read", "--expires", "30d", "--url", served.url)
    assert made.returncode == 0, made.stderr
    listed = [
        json.loads(dteg("studio", "token", "list", "--json", *url).stdout)
        for url in ((), ("--url", served.url))
    ]
    assert listed[0] == listed[1]
    assert [each["name"] for each in listed[0]] == ["ci"]
    # What the new token may not do is refused, with our words.
    refused = dteg("studio", "link", "--url", served.url, DTEG_STUDIO_TOKEN=made.stdout.strip())
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "lacks the scope 'admin'" in refused.stderr
    assert dteg("studio", "token", "revoke", "ci").stdout.startswith("ended ci")
    # One at a time; `dteg stop` ends it.
    again = serve()
    assert again.process.wait(120) == 1
    assert "runs already, on port" in again.text
    assert "studio" in dteg("stop").stdout
    assert served.process.wait(60) == 0
    assert registered(served.project) == []
    assert "Traceback" not in served.text
    gone = dteg("studio", "link")
    assert (gone.returncode, gone.stderr) == (
        3,
        "error: no studio of this project runs; start it with: dteg studio\n",
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to(serve, number):
    served = serve().wait()
    served.process.send_signal(number)
    assert served.process.wait(60) == 0
    assert "Traceback" not in served.text


def test_a_port_that_is_taken_is_told(serve):
    served = serve().wait()
    dteg_home = served.project.root.parent / "other"
    (dteg_home / "pipelines").mkdir(parents=True)
    other = dteg("studio", "--port", str(served.port), DTEG_HOME=str(dteg_home))
    assert other.returncode == 3
    assert "choose another with --port" in other.stderr


def test_another_address_is_refused_until_it_is_meant(serve):
    refused = serve("--host", "0.0.0.0")
    assert refused.process.wait(120) == 2
    assert "in the clear" in refused.text
    assert "--allow-network" in refused.text


def test_its_help_is_quick_and_needs_no_web_framework():
    code = "import sys; from dteg.cli.main import app; assert not {'fastapi', 'uvicorn', 'studio'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "Run the studio" in dteg("studio", "--help").stdout

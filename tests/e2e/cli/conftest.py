"""`dteg` from outside: its arguments, environment and folder go in, its output and exit code come out."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from dteg.cli.main import run_app
from dteg.testing.servers import database

HERE = Path(__file__).parent
DTEG = [sys.executable, "-c", "from dteg.cli import main; main()"]


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Shell:
    """`dteg` in a folder, against a warehouse."""

    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("DTEG_", "DAGSTER_"))
        }
        self.environment = {**kept, "DTEG_POSTGRES_URL": url, "NO_COLOR": "1"}

    def __call__(self, *arguments, code=0, **environment):
        """Run a command in this process, for speed; its exit code must be `code`."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in set(os.environ) - set(self.environment):
                patch.delenv(name)
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            patch.chdir(self.folder)
            done = Done(run_app([str(each) for each in arguments]), out.getvalue(), err.getvalue())
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    def process(self, *arguments, code=0, **environment):
        """Run a command in a process of its own; its exit code must be `code`, and it may show no traceback."""
        done = subprocess.run(
            [*DTEG, *map(str, arguments)], cwd=self.folder, env={**self.environment, **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    def start(self, *arguments, **options):
        """Start `dteg` and return at once."""
        return subprocess.Popen(
            [*DTEG, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stderr=subprocess.PIPE,
            **options,
        )

    def pipeline(self, text, name="p"):
        path = self.folder / "pipelines" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture(scope="module")
def project(postgres_server, tmp_path_factory):
    """A project that was made by `dteg init`, shared by tests that change nothing in it."""
    with database(postgres_server) as url:
        shell = Shell(tmp_path_factory.mktemp("project"), url)
        shell("init")
        shell("run", "hello")
        yield shell


@pytest.fixture
def shell(postgres_url, tmp_path):
    """An empty folder."""
    return Shell(tmp_path, postgres_url)

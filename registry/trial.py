"""A registry process and a scratch environment, as somebody has them who tries the marketplace out.

Both are made of programs and folders only: what works here works at a command line.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import httpx

import dteg
from dteg.core.errors import DtegError, EnvironmentProblemError
from dteg.marketplace.environment import find_uv
from dteg.testing.servers import fresh_port

DTEG = ("-c", "from dteg.cli import main; main()")
_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 40.0
# Of the variables that dteg reads only these say something about the machine; the others are somebody's settings.
_OF_THE_MACHINE = ("DTEG_SECANTUSD", "DTEG_GATES_ADVISORIES")


class StepFailedError(DtegError):
    """A command of the trial failed; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended.

    Attributes:
        code: Exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both, output first."""
        return self.out + self.err


def clean_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without settings of dteg, Dagster, uv and pip, and with `more`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DTEG_", "DAGSTER_", "UV_", "PIP_", "COV_", "VIRTUAL_ENV"))
        or name in _OF_THE_MACHINE
    }
    return {**kept, "NO_COLOR": "1", "COLUMNS": "200", **more}


class RegistryProcess:
    """`dteg registry serve --embedded` on a free port of this machine; use it in a `with`.

    Args:
        folder: Where its data and its log go.
        settings: More environment variables.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port, self.data, self.log = fresh_port(), folder / "data", folder / "registry.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_password = secrets.token_urlsafe(15)
        # What takes days elsewhere is shown here in minutes.
        soon = {"DTEG_REGISTRY_REVIEW_AFTER_DAYS": "0"}
        self._settings = {"DTEG_REGISTRY_ADMIN_PASSWORD": self.admin_password, **soon, **settings}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it, and return when it is ready for requests.

        Raises:
            EnvironmentProblemError: It does not start; with the end of its log.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, *DTEG, "registry", "serve", "--embedded", "--workers", "1", "--no-access-log",
            "--port", str(self.port), "--data-dir", str(self.data),
        ]  # fmt: skip
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.log.parent,
                env=clean_environment(**self._settings), start_new_session=True,  # Ctrl-C is for us, who stop it
            )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Stop it and all that it started."""
        self._stop()

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def printed(self) -> str:
        """What it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def make_account(self, login: str) -> str:
        """Make an account, as anybody may, and return its password."""
        password = secrets.token_urlsafe(15)
        body = {"login": login, "email": f"{login}@example.com", "password": password}
        answer = httpx.post(f"{self.url}/api/v1/accounts", json=body, timeout=30)
        if answer.status_code != 201:
            raise StepFailedError(f"no account {login}: {answer.text[:500]}")
        return password

    def admin(self) -> httpx.Client:
        """Return a client of the API with the administrator's rights; use it in a `with`."""
        form = {"grant_type": "password", "username": "admin", "password": self.admin_password}
        answer = httpx.post(f"{self.url}/api/v1/oauth/token", data=form, timeout=30)
        if answer.status_code != 200:
            raise StepFailedError(f"the administrator cannot log in: {answer.text[:500]}")
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=30)

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.running and time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            time.sleep(0.2)
        raise EnvironmentProblemError(f"the registry does not start: {self.printed[-1500:]}")

    def _stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None


class Workplace:
    """A project of one person, whose `dteg` keeps its login, keys and downloads below one folder.

    Args:
        folder: Where all of it lies.
        registry: URL of the registry.
        environment: `ours`, the one this runs in; or a virtual one that borrows its packages: `bare` with dteg but none
            of the connectors that come with it, `whole` with them.
    """

    def __init__(
        self, folder: Path, registry: str, *, environment: Literal["ours", "bare", "whole"] = "ours"
    ) -> None:
        self.project = folder / "project"
        (self.project / "pipelines").mkdir(parents=True)
        self.python = Path(sys.executable)
        if environment != "ours":
            self.python = _make_environment(folder / "venv", whole=environment == "whole")
        self.environ = clean_environment(
            DTEG_CONFIG_DIR=str(folder / "config"), DTEG_CACHE_DIR=str(folder / "cache"), DTEG_REGISTRY_URL=registry,
            DTEG_HOME=str(self.project),
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        )  # fmt: skip

    @property
    def site(self) -> Path:
        """Where its environment has its packages."""
        return _site_of(self.python.parent.parent)

    def run(self, *arguments: object, code: int | None = 0, timeout_s: float = 600, **environ: str) -> Done:
        """Run dteg in the project.

        Args:
            arguments: Of dteg.
            code: Exit code that it must have; None for any.
            timeout_s: When to kill it.
            environ: More environment variables.

        Raises:
            StepFailedError: It ends otherwise.
        """
        done = subprocess.run(
            [str(self.python), *DTEG, *map(str, arguments)], cwd=self.project, env={**self.environ, **environ},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        if code is not None and done.returncode != code:
            told = done.stdout + done.stderr
            raise StepFailedError(
                f"dteg {' '.join(map(str, arguments))}: exit code {done.returncode}\n{told}"
            )
        return Done(done.returncode, done.stdout, done.stderr)

    def log_in(self, login: str, password: str) -> None:
        """Log in."""
        self.run("login", "--user", login, DTEG_REGISTRY_PASSWORD=password)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files into the project, text by path."""
        for name, text in files.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _make_environment(prefix: Path, *, whole: bool) -> Path:
    """Make a virtual environment that borrows all packages of this one; the connectors of this checkout if `whole`."""
    command: Sequence[str] = [
        find_uv(),
        "venv",
        "--quiet",
        "--no-config",
        "--python",
        sys.executable,
        str(prefix),
    ]
    if not command[0]:
        command = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentProblemError(f"no virtual environment: {done.stderr.strip() or done.stdout.strip()}")
    site, ours = _site_of(prefix), sysconfig.get_path("purelib")
    if whole:
        (site / "borrowed.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    else:
        # A plain path: the .pth files in that folder, which name this checkout and so its connectors, do not count.
        (site / "borrowed.pth").write_text(f"{ours}\n")
        (site / "dteg").symlink_to(Path(dteg.__file__).parent, target_is_directory=True)
    return prefix / "bin" / "python"


def _site_of(prefix: Path) -> Path:
    return prefix / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

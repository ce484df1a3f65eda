"""The Python environment that components are installed into: the one dteg runs in."""

import importlib
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from dteg.core.errors import DtegError, EnvironmentProblemError
from dteg.core.secrets import redact
from dteg.marketplace.lockfile import LockedDependency

_TIMEOUT_S = 600.0


class InstallerError(DtegError):
    """uv or pip failed: the message has what it said."""


@dataclass(frozen=True)
class Installed:
    """One installed package.

    Attributes:
        name: Normalised.
        version: Its version.
        info: Its `.dist-info` folder.
    """

    name: str
    version: str
    info: Path

    @cached_property
    def requires(self) -> tuple[Requirement, ...]:
        """What it says it needs here, without what only its extras need; read when first asked for."""
        return tuple(_requires(self.info / "METADATA"))


class Environment:
    """Folders and packages of the running Python.

    Args:
        site: Where packages are installed; default: where pip installs pure ones.
        prefix: Root of the environment.
        python: Its interpreter.
    """

    def __init__(
        self, site: Path | None = None, prefix: Path | None = None, python: Path | None = None
    ) -> None:
        self.site = site or Path(sysconfig.get_path("purelib"))
        self.prefix = prefix or Path(sys.prefix)
        self.python = python or Path(sys.executable)

    @property
    def state_dir(self) -> Path:
        """Where an unfinished change is written down, inside the environment it belongs to."""
        return self.prefix / ".dteg-install"

    @cached_property
    def packages(self) -> Mapping[str, Installed]:
        """All packages that can be imported, by normalised name; `forget` reads them anew."""
        # By the names of folders: parsing all METADATA takes a second.
        found: dict[str, Installed] = {}
        for folder in dict.fromkeys(Path(entry or ".") for entry in [str(self.site), *sys.path]):
            for info in folder.glob("*.dist-info") if folder.is_dir() else ():
                name, _, version = info.name.removesuffix(".dist-info").partition("-")
                # The first one on the path is the one that is imported.
                found.setdefault(canonicalize_name(name), Installed(canonicalize_name(name), version, info))
        return found

    def forget(self) -> None:
        """Read the packages anew next time."""
        self.__dict__.pop("packages", None)
        importlib.invalidate_caches()

    def check_writable(self) -> None:
        """Refuse an environment that is not ours to change.

        Raises:
            EnvironmentProblemError: It cannot be written.
        """
        if not os.access(self.site, os.W_OK):
            raise EnvironmentProblemError(
                f"{self.site} cannot be written; use a virtual environment: uv venv && uv pip install dteg"
            )


def _requires(metadata: Path) -> Iterator[Requirement]:
    try:
        head, _, _ = metadata.read_text(encoding="utf-8", errors="replace").partition("\n\n")
    except OSError:
        return
    for line in head.splitlines():
        key, _, text = line.partition(":")
        if key.lower() != "requires-dist":
            continue
        try:
            requirement = Requirement(text.strip())
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A wheel that was verified.

    Attributes:
        name: Name of the package.
        path: The file.
        sha256: Its hash.
    """

    name: str
    path: Path
    sha256: str


class Installer:
    """uv, or pip where there is no uv: the same few steps with either.

    Args:
        environment: What is changed.
        uv: Path of uv; default: found.
    """

    def __init__(self, environment: Environment, uv: str | None = None) -> None:
        self.environment = environment
        self._uv = uv if uv is not None else find_uv()
        self._python = str(environment.python)

    def install_wheels(self, wheels: Sequence[WheelFile], *, hold: int | None = None) -> None:
        """Install verified files, and nothing else from anywhere.

        Args:
            wheels: The files.
            hold: A file descriptor that the program keeps open while it runs.

        Raises:
            InstallerError: It failed.
        """
        lines = [f"{each.name} @ {each.path.as_uri()} --hash=sha256:{each.sha256}" for each in wheels]
        options = ["--no-deps", "--no-index", "--require-hashes"]
        uv = [*options, "--offline", "--no-config", "--no-build", "--reinstall", "--link-mode", "copy"]
        pip = [*options, "--force-reinstall", "--only-binary", ":all:", "--isolated", "--no-compile"]
        self._install(lines, uv, pip, _own_settings_only(), hold)

    def install_dependencies(
        self, dependencies: Sequence[LockedDependency], *, hold: int | None = None
    ) -> None:
        """Install packages of the Python index, exactly these files; nothing is built.

        Raises:
            InstallerError: It failed.
        """
        lines = [
            " ".join([f"{each.name}=={each.version}", *(f"--hash={one}" for one in each.hashes)])
            for each in dependencies
        ]
        options = ["--no-deps", "--require-hashes"]
        uv = [*options, "--no-build", "--link-mode", "copy"]
        pip = [*options, "--only-binary", ":all:", "--no-compile"]
        self._install(lines, uv, pip, dict(os.environ), hold)

    def uninstall(self, names: Sequence[str], *, hold: int | None = None) -> None:
        """Remove packages.

        Raises:
            InstallerError: It failed.
        """
        if self._uv:
            command = [self._uv, "pip", "uninstall", "--python", self._python, "--no-config", *names]
        else:
            command = [*self._pip(), "uninstall", "--yes", *names]
        _run(command, _own_settings_only(), hold)

    def compile(self, requirements: Sequence[str], constraints: Sequence[str]) -> list[LockedDependency]:
        """Choose versions of all that is needed, with the hashes of their files; changes nothing.

        Raises:
            InstallerError: There are no such versions, or the index does not answer.
        """
        folder = self.environment.state_dir
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted, limits = folder / "wanted.in", folder / "limits.txt"
        wanted.write_text("\n".join(requirements) + "\n")
        limits.write_text("\n".join(constraints) + "\n")
        try:
            if not self._uv:
                return _from_report(_run(self._pip_report(wanted, limits), dict(os.environ)))
            command = [
                self._uv, "pip", "compile", "--python", self._python, "--no-header", "--no-annotate",
                "--generate-hashes", "--only-binary", ":all:", "-c", str(limits), str(wanted),
            ]  # fmt: skip
            return _from_requirements(_run(command, dict(os.environ)))
        finally:
            wanted.unlink(missing_ok=True)
            limits.unlink(missing_ok=True)

    def _install(
        self, lines: list[str], uv: list[str], pip: list[str], environ: dict[str, str], hold: int | None
    ) -> None:
        folder = self.environment.state_dir
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "requirements.txt"
        file.write_text("\n".join(lines) + "\n")
        try:
            if self._uv:
                command = [self._uv, "pip", "install", "--python", self._python, *uv, "-r", str(file)]
            else:
                command = [*self._pip(), "install", *pip, "-r", str(file)]
            _run(command, environ, hold)
        finally:
            file.unlink(missing_ok=True)

    def _pip(self) -> list[str]:
        if "pip" not in self.environment.packages:
            raise EnvironmentProblemError("neither uv nor pip is here; get one with: python -m ensurepip")
        return [self._python, "-m", "pip", "--disable-pip-version-check", "--no-input"]

    def _pip_report(self, wanted: Path, limits: Path) -> list[str]:
        return [
            *self._pip(), "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-",
            "--only-binary", ":all:", "-c", str(limits), "-r", str(wanted),
        ]  # fmt: skip


def find_uv() -> str:
    """Return the path of uv: beside Python, else on PATH; "" if it is nowhere."""
    import shutil

    beside = Path(sys.executable).parent / ("uv.exe" if os.name == "nt" else "uv")
    return str(beside) if beside.is_file() else shutil.which("uv") or ""


def _own_settings_only() -> dict[str, str]:
    """Return the environment without settings that could add an index or another file."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("UV_", "PIP_")) or k == "UV_CACHE_DIR"}


def _run(command: Sequence[str], environ: Mapping[str, str], hold: int | None = None) -> str:
    try:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=_TIMEOUT_S, check=False, pass_fds=() if hold is None else (hold,),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InstallerError(f"{Path(command[0]).name} did not end within {_TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise EnvironmentProblemError(f"{command[0]} cannot be started: {error.strerror}") from None
    if done.returncode:
        said = redact(done.stderr.strip() or done.stdout.strip())
        raise InstallerError(f"{Path(command[0]).name} says: {said[-3000:]}")
    return done.stdout


_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=(\w+:[0-9a-f]+)")


def _from_requirements(text: str) -> list[LockedDependency]:
    """Read what `uv pip compile` prints."""
    found = []
    for entry in re.sub(r"\\\n", " ", text).splitlines():
        if match := _PIN.match(entry.strip()):
            hashes = tuple(sorted(_HASH.findall(entry)))
            found.append(LockedDependency(canonicalize_name(match["name"]), match["version"], hashes))
    return found


def _from_report(text: str) -> list[LockedDependency]:
    """Read the report of `pip install --dry-run`."""
    import json

    found = []
    for entry in json.loads(text)["install"]:
        hashes = entry["download_info"].get("archive_info", {}).get("hashes", {})
        found.append(
            LockedDependency(
                canonicalize_name(entry["metadata"]["name"]),
                entry["metadata"]["version"],
                tuple(f"{name}:{value}" for name, value in sorted(hashes.items()) if name.startswith("sha")),
            )
        )
    return found

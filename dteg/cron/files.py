"""The files of cron jobs: read, written whole, and put back when a change did not work."""

import contextlib
import fcntl
import re
import time
from collections.abc import Iterator
from pathlib import Path

from dteg.core.errors import ConfigError, ConflictError, EnvironmentProblemError, NotFoundError
from dteg.core.places import write_whole
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.core.yaml import parse, validate
from dteg.core.yaml_writing import Quoted, write_yaml
from dteg.cron.spec import CronFile, CronSpec, cron_files, cron_folder


def rendered(spec: CronSpec) -> str:
    """Return the text of a job's file: texts in quotes, keys without."""
    values = {key: _quoted(value) for key, value in spec.model_dump(mode="json", exclude_unset=True).items()}
    return write_yaml({"cron": values})


def _quoted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _quoted(each) for key, each in value.items()}
    return Quoted(value) if isinstance(value, str) else value


def _with_line(text: str, value: str) -> str | None:
    """Return the text with another `enabled:`, which goes below `schedule:` if there is none; None for another form."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if match := re.match(r"(\s+enabled\s*:\s*)[A-Za-z]+(?=\s|$)", line):
            lines[number] = f"{match[1]}{value}{line[match.end() :]}"
            return "".join(lines)
    for number, line in enumerate(lines):
        if match := re.match(r"(\s+)schedule\s*:", line):
            lines[number] = f"{line.rstrip()}\n{match[1]}enabled: {value}\n"
            return "".join(lines)
    return None


def _read(text: str) -> CronSpec | None:
    with contextlib.suppress(ConfigError):
        return validate(parse(text), CronFile).cron
    return None


class CronFiles:
    """The folder `cron/` of a project."""

    def __init__(self, project: Project) -> None:
        self.project = project

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from changing jobs until the block ends.

        Raises:
            ConflictError: Another process is at it, and is not done within ten seconds.
        """
        with (self.project.state_dir / "cron.lock").open("a") as lock:
            deadline = time.monotonic() + 10
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise ConflictError("somebody else changes cron jobs now; try again") from None
                    time.sleep(0.05)
            yield

    def paths(self) -> list[Path]:
        """Return the files, sorted by name."""
        return cron_files(self.project)

    def find(self, name: str) -> Path:
        """Return the file of a job.

        Raises:
            NotFoundError: There is no such job.
        """
        known = {path.stem: path for path in self.paths()}
        if name not in known:
            near = did_you_mean(name, known)
            raise NotFoundError(f"there is no cron job {name!r}; {near or 'list them with: dteg cron jobs'}")
        return known[name]

    def path(self, name: str) -> Path:
        """Return where the file of a job is, or would be."""
        return cron_folder(self.project) / f"{name}.yaml"

    def write(self, spec: CronSpec) -> None:
        """Write the file of a job.

        Raises:
            EnvironmentProblemError: It cannot be written.
        """
        write_whole(self.path(spec.name), rendered(spec).encode())

    def switch(self, path: Path, spec: CronSpec, *, on: bool) -> None:
        """Write into the file of a job whether it runs; its other lines stay, comments too.

        Raises:
            EnvironmentProblemError: It cannot be written.
        """
        wanted = spec.model_copy(update={"enabled": on})
        text = _with_line(path.read_text(encoding="utf-8-sig"), "true" if on else "false")
        if text is None or _read(text) != wanted:
            text = rendered(wanted)
        write_whole(path, text.encode())

    @contextlib.contextmanager
    def restored_on_error(self, path: Path) -> Iterator[None]:
        """Put a file back as it is now if the block fails."""
        before = path.read_bytes() if path.exists() else None
        try:
            yield
        except BaseException:
            self.restore(path, before)
            raise

    def restore(self, path: Path, data: bytes | None) -> None:
        """Give a file its former bytes; None for one that was not there."""
        if data is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, data)

    def remove(self, path: Path) -> None:
        """Delete the file of a job.

        Raises:
            EnvironmentProblemError: It cannot be deleted.
        """
        try:
            path.unlink()
        except OSError as error:
            raise EnvironmentProblemError(f"{path} cannot be deleted: {error.strerror}") from None

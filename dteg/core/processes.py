"""Servers that a project has started, so that `dteg stop` ends those and no others.

A process is known by its id and its start time: an id alone may belong to somebody else by now.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from dteg.core.project import Project

STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Server:
    """One registered server.

    Attributes:
        name: What it is, such as `dagster`.
        pid: Its process id; it leads its process group.
        started: Start time of that process, as the system counts it.
        port: Port it listens on, 0 for none.
    """

    name: str
    pid: int
    started: str
    port: int = 0

    def is_running(self) -> bool:
        """Whether this very process still runs."""
        return bool(self.started) and start_time(self.pid) == self.started


def start_time(pid: int) -> str:
    """Return a text that differs between two processes of the same id; empty if there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            return "" if fields[0] == "Z" else fields[19]
        return ""
    import psutil  # not on Linux, where /proc tells

    with contextlib.suppress(psutil.NoSuchProcess):
        return str(psutil.Process(pid).create_time())
    return ""


def _folder(project: Project) -> Path:
    folder = project.state_dir / "servers"
    folder.mkdir(exist_ok=True)
    return folder


def register(project: Project, name: str, pid: int, port: int = 0) -> Server:
    """Remember a server of this project."""
    server = Server(name, pid, start_time(pid), port)
    (_folder(project) / f"{name}.json").write_text(json.dumps(asdict(server)), encoding="utf-8")
    return server


def registered(project: Project) -> list[Server]:
    """Return the servers that still run; forget the others."""
    running = []
    for path in sorted(_folder(project).glob("*.json")):
        server = _read(path)
        if server is not None and server.is_running():
            running.append(server)
        else:
            path.unlink(missing_ok=True)
    return running


def _read(path: Path) -> Server | None:
    """Return what a file registers; None for one that was cut off by a crash."""
    try:
        return Server(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def stop_all(project: Project) -> list[str]:
    """End every server of the project, the embedded PostgreSQL last; return their names."""
    stopped = [server.name for server in registered(project) if _stop(server)]
    if project.uses_embedded_postgres:
        from dteg.core.embedded import EmbeddedPostgres
        from dteg.core.errors import MissingExtraError

        with contextlib.suppress(MissingExtraError):
            if EmbeddedPostgres.of(project).stop():
                stopped.append("postgresql")
    registered(project)
    return stopped


def _stop(server: Server) -> bool:
    """Ask, wait, then kill."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if not server.is_running():
            return True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(server.pid, number)
        deadline = time.monotonic() + STOP_TIMEOUT_S / 3
        while server.is_running() and time.monotonic() < deadline:
            time.sleep(0.1)
    return not server.is_running()

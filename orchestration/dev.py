"""What `make dev` runs: the warehouse and Dagster's web page, daemon and code servers, until Ctrl-C."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from dteg.core.errors import ConfigError, DtegError, EnvironmentProblemError
from dteg.core.processes import register, registered
from dteg.core.project import Project
from orchestration.instance import prepare_home

PORT_VARIABLE = "DTEG_DAGSTER_PORT"
DEFAULT_PORT = 3000
HOST = "127.0.0.1"
SERVER = "dagster"
STOP_TIMEOUT_S = 20.0
GROUP_TIMEOUT_S = 3.0
LOCATIONS = ("orchestration.definitions", "orchestration.definitions_dbt")


def main() -> int:
    """Run until Ctrl-C, SIGTERM or `dteg stop`; return the exit code."""
    try:
        project = Project.find()
        port = chosen_port()
        refuse_busy(project, port)
        if project.uses_embedded_postgres:
            print("Starting PostgreSQL ...", flush=True)
            project.warehouse_url()
        prepare_home(project)
        return serve(project, port)
    except DtegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def chosen_port() -> int:
    """Return the port of the web page.

    Raises:
        ConfigError: The environment variable is no port.
    """
    text = os.environ.get(PORT_VARIABLE) or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ConfigError(f"{PORT_VARIABLE}={text} is not a port; write a number from 1 to 65535")
    return int(text)


def refuse_busy(project: Project, port: int) -> None:
    """Refuse a second server.

    A `dagster dev` on a busy port starts its daemon and code servers before it fails, while the first
    server answers on the port as if all were well.

    Raises:
        EnvironmentProblemError: This project's server runs already, or somebody else has the port.
    """
    for server in registered(project):
        if server.name == SERVER:
            raise EnvironmentProblemError(
                f"Dagster runs already for this project: http://{HOST}:{server.port} - stop it with: make stop"
            )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = f"port {port} of {HOST} cannot be used: {error.strerror}"
            raise EnvironmentProblemError(
                f"{reason}; choose another: {PORT_VARIABLE}={port + 1} make dev"
            ) from None


def command(project: Project, port: int) -> list[str]:
    """Return what starts Dagster for the project."""
    workspace = project.root / "workspace.yaml"
    locations = (
        ["-w", str(workspace)]
        if workspace.is_file()
        else [part for name in LOCATIONS for part in ("-m", name)]
    )
    return [sys.executable, "-m", "dagster", "dev", *locations, "-h", HOST, "-p", str(port)]


def environment() -> dict[str, str]:
    """Return the environment of the server."""
    # Its folder is the state folder: beside the project's dagster.yaml Dagster would warn that it reads
    # the copy in its home. The code servers find an uninstalled checkout by the path.
    checkout = str(Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, [checkout, os.environ.get("PYTHONPATH")]))
    ignored = "ignore:Function `dev_command` is superseded"
    warnings = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), ignored]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": warnings}


def serve(project: Project, port: int) -> int:
    """Start Dagster, tell where it is, and stay until it ends."""
    # Dagster gives SIGTERM the disposition that SIGINT has, and a child inherits an ignored SIGINT, such as
    # that of a shell's background job: it would then ignore both. A handler becomes the default in the child.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A session of its own: Ctrl-C reaches this process alone, which then ends the server in order.
    child = subprocess.Popen(
        command(project, port), cwd=project.state_dir, env=environment(), start_new_session=True
    )
    try:
        register(project, SERVER, child.pid, port)
        return _wait(child, port)
    except KeyboardInterrupt:
        print("\nStopping ...", flush=True)
        return 0
    finally:
        _end(child)
        registered(project)  # forgets what no longer runs
        _stop_warehouse(project)


def _wait(child: "subprocess.Popen[bytes]", port: int) -> int:
    url = f"http://{HOST}:{port}"
    print(f"Dagster is starting; its page will be at {url}. Ctrl-C stops it.", flush=True)
    ready = False
    while child.poll() is None:
        if not ready and _answers(f"{url}/server_info"):
            ready = True
            print(f"\nDagster is ready: {url}\n", flush=True)
        time.sleep(0.5)
    if not ready:
        print(
            f"error: dagster dev ended with code {child.returncode} before its page was up", file=sys.stderr
        )
        return child.returncode or 1
    return 0


def _answers(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310
        return bool(reply.status == 200)
    return False


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Ask, wait, then kill; then end what the server leaves behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            break
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_TIMEOUT_S)
    # Code servers outlive `dagster dev` until they miss its heartbeat, 45 s later. They are in its group,
    # whose number stays taken for as long as one of them lives.
    _signal_group(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + GROUP_TIMEOUT_S
    while _signal_group(child.pid, 0) and time.monotonic() < deadline:
        time.sleep(0.1)
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group and return whether anybody was there; 0 only asks."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return False
    return True


def _stop_warehouse(project: Project) -> None:
    if project.uses_embedded_postgres:
        from dteg.core.embedded import EmbeddedPostgres

        EmbeddedPostgres.of(project).stop()


if __name__ == "__main__":
    sys.exit(main())

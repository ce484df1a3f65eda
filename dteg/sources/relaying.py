"""The project's relay, as those see it who use it: started on demand, told of routes and deadlines."""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from dteg.core.errors import EnvironmentProblemError
from dteg.core.processes import register, start_time
from dteg.core.project import Project
from dteg.sources.relay import STATE_FILE

START_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 5.0
SERVER_NAME = "relay"


class Relaying:
    """Speaks with the relay of one project.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self._project = project

    def route(
        self, slug: str, protocol: str, host: str, port: int, *, silence_s: float, prefer: int = 0
    ) -> int:
        """Have a source reachable, and return at which port of 127.0.0.1.

        Args:
            slug: The source.
            protocol: Of `dteg.sources.hello`.
            host: Where it is.
            port: Its port.
            silence_s: Silence after which the server is asked whether it lives.
            prefer: The port to take if it is free.
        """
        values = {"slug": slug, "protocol": protocol, "host": host, "port": port, "silence_s": silence_s}
        answer: int = self._ask({"do": "route", **values, "prefer": prefer}, start=True)
        return answer

    def drop(self, slug: str) -> None:
        """Close the way to a source, if there is one."""
        with contextlib.suppress(OSError, ValueError):
            self._ask({"do": "drop", "slug": slug})

    def status(self) -> dict[str, Any]:
        """Return port and number of connections by source; empty if the relay does not run."""
        try:
            answer: dict[str, Any] = self._ask({"do": "status"})
        except (OSError, ValueError):
            return {}
        return answer

    @contextlib.contextmanager
    def deadline(self, slugs: Sequence[str], seconds: float) -> Iterator[None]:
        """Break the connections to these sources that were opened within the block and hang after so many seconds."""
        numbers = [self._ask({"do": "hold", "slug": slug, "seconds": seconds}, start=True) for slug in slugs]
        try:
            yield
        finally:
            for number in numbers:
                with contextlib.suppress(OSError, ValueError):
                    self._ask({"do": "release", "number": number})

    def stop(self) -> None:
        """Stop the relay, if it runs."""
        state = self._state()
        with contextlib.suppress(OSError, ValueError):
            self._ask({"do": "stop"})
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while state and time.monotonic() < deadline and start_time(state["pid"]) == state["started"]:
            time.sleep(0.02)

    def _ask(self, question: dict[str, Any], *, start: bool = False) -> Any:
        state = self._state()
        if state:
            try:
                return _exchange(state, question)
            except (OSError, ValueError):
                if not start:
                    raise
        if not start:
            raise ConnectionRefusedError("the relay does not run")
        return _exchange(self._start(), question)

    def _state(self) -> dict[str, Any]:
        """Return where the relay is; empty if it does not run."""
        try:
            state: dict[str, Any] = json.loads((self._project.state_dir / STATE_FILE).read_text())
            alive = bool(state["started"]) and start_time(state["pid"]) == state["started"]
        except (OSError, ValueError, KeyError):
            return {}
        return state if alive else {}

    def _start(self) -> dict[str, Any]:
        """Start it, unless somebody else does so at the same time."""
        folder = self._project.state_dir
        with (folder / "relay.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if state := self._answering():
                return state
            (folder / STATE_FILE).unlink(missing_ok=True)
            log = folder / "relay.log"
            with log.open("w") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "dteg.sources.relay", str(folder)], stdin=subprocess.DEVNULL,
                    stdout=output, stderr=output, start_new_session=True, cwd="/",
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                )  # fmt: skip
            deadline = time.monotonic() + START_TIMEOUT_S
            while process.poll() is None and time.monotonic() < deadline:
                if state := self._answering():
                    register(self._project, SERVER_NAME, process.pid, state["port"])
                    # It outlives us on purpose: without this Python would warn of a child that was left behind.
                    process.returncode = 0
                    return state
                time.sleep(0.02)
            process.kill()
            process.wait()
            raise EnvironmentProblemError(
                f"the relay of sources does not start; its log {log} ends with: {log.read_text()[-500:]}"
            )

    def _answering(self) -> dict[str, Any]:
        state = self._state()
        try:
            _exchange(state, {"do": "status"})
        except (OSError, ValueError, KeyError):
            return {}
        return state


def _exchange(state: dict[str, Any], question: dict[str, Any]) -> Any:
    with socket.create_connection(("127.0.0.1", state["port"]), timeout=ANSWER_TIMEOUT_S) as link:
        link.sendall(json.dumps({"token": state["token"], **question}).encode() + b"\n")
        with link.makefile("rb") as answers:
            return json.loads(answers.readline())

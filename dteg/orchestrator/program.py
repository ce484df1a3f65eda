"""Questions to Dagster's storage, answered by a process of the Dagster app.

The library does not import Dagster, which takes two seconds: it is started by name, and only where there is
something to ask.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from dteg.core import errors
from dteg.core.errors import DtegError, MissingExtraError, PermanentError
from dteg.core.project import HOME_VARIABLE, Project
from dteg.core.secrets import redact

MODULE = "orchestration.storage"
TIMEOUT_S = 120.0


def has_storage(project: Project) -> bool:
    """Whether Dagster has ever kept anything for this project, or is set up to keep it on a server."""
    home = project.dagster_home
    settings = [path for path in (home / "dagster.yaml", project.root / "dagster.yaml") if path.is_file()]
    return home.is_dir() and (any(home.rglob("*.db")) or any(_names_storage(path) for path in settings))


def ask(project: Project, command: str, *, timeout_s: float | None = TIMEOUT_S, **arguments: Any) -> Any:
    """Run one command of the Dagster app and return its answer.

    Args:
        project: Whose storage.
        command: Name of the command, see `orchestration/storage.py`.
        timeout_s: Seconds it may take; None for as long as it needs.
        arguments: JSON values.

    Raises:
        MissingExtraError: Dagster is not installed.
        DtegError: What the command raised.
    """
    if find_spec("orchestration") is None or find_spec("dagster") is None:
        raise MissingExtraError("dagster", f"dteg {command.split('-', maxsplit=1)[0]}")
    environment = {**os.environ, HOME_VARIABLE: str(project.root)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", MODULE, command], input=json.dumps(arguments), env=environment, cwd=project.state_dir,
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PermanentError(f"Dagster's storage did not answer within {timeout_s:.0f} s") from None
    answer = _last_json(done.stdout)
    if "error" in answer:
        raise _error(answer)
    if done.returncode or "result" not in answer:
        tail = redact("\n".join((done.stderr or done.stdout).strip().splitlines()[-5:]))
        raise PermanentError(f"Dagster's storage cannot be read (exit code {done.returncode}): {tail}")
    return answer["result"]


def _names_storage(path: Any) -> bool:
    return any(line.startswith("storage:") for line in path.read_text(encoding="utf-8").splitlines())


def _last_json(text: str) -> dict[str, Any]:
    """Return the last line that holds an object: Dagster may print other lines before."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            return value if isinstance(value, dict) else {}
    return {}


def _error(answer: dict[str, Any]) -> DtegError:
    """Return the error that the other process raised, of the same class where its message is all it takes."""
    cls = getattr(errors, str(answer.get("class")), PermanentError)
    if cls not in (errors.ConfigError, errors.NotFoundError, errors.ConflictError, errors.TransientError):
        cls = PermanentError
    made: DtegError = cls(str(answer["error"]))
    return made

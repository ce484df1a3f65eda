"""The first token: a file of the project, for who may read its state may do everything with it anyway."""

import os
import secrets
from pathlib import Path

from dteg.core.errors import EnvironmentProblemError
from dteg.core.project import Project

_BYTES = 32


def token_file(project: Project) -> Path:
    """Return where the token lies."""
    return project.state_dir / "studio" / "token"


def local_token(project: Project) -> str:
    """Return the project's own token, with all scopes; made when first asked for.

    Raises:
        EnvironmentProblemError: It cannot be written or read.
    """
    path = token_file(project)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists():
            _make(path)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentProblemError(
            f"{path} cannot be used ({error}); delete it to have a new one"
        ) from None
    if len(token) < _BYTES:
        raise EnvironmentProblemError(f"{path} holds no token; delete it to have a new one")
    return token


def _make(path: Path) -> None:
    fresh = path.with_name(f".token.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"dteg_studio_local_{secrets.token_urlsafe(_BYTES)}\n")
            file.flush()
            os.fsync(descriptor)
        os.link(fresh, path)  # unlike a rename, this lets the first of two processes win
    except FileExistsError:
        pass
    finally:
        fresh.unlink(missing_ok=True)

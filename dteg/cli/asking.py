"""What is asked before something is gone, and who asks."""

import getpass
import sys

import typer

from dteg.core.errors import ConfigError


def confirm_deletion(question: str, name: str) -> None:
    """Ask a person whether something shall be deleted.

    Args:
        question: What is asked, with how much there is of it.
        name: What would be deleted, for the message when nobody is there.

    Raises:
        ConfigError: There is no terminal to ask at.
        typer.Abort: The answer is no.
    """
    if not sys.stdin.isatty():
        raise ConfigError(f"nobody is there to ask; to delete {name} without a question, add --yes")
    typer.confirm(question, abort=True, err=True)


def user_name() -> str:
    """Return who sits here; `unknown` in a container whose user has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"

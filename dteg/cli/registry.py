"""`dteg registry ...`: the marketplace's server is a program of its own, which takes the arguments as they are."""

import os
import sys
from importlib.util import find_spec

import typer

from dteg.core.errors import MissingExtraError

OPTIONS = {
    "context_settings": {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
}


def registry(context: typer.Context) -> None:
    """Run or administer a marketplace of your own: serve, create-admin, ...; see `dteg registry --help`."""
    # By name, and in another process: the library knows no app, and commands start without a web framework.
    if find_spec("registry") is None or find_spec("fastapi") is None or find_spec("pymongo") is None:
        raise MissingExtraError("registry", "dteg registry")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "registry", *context.args])  # noqa: S606 - arguments as they are

"""`dteg init`: a project that runs."""

import shlex
from pathlib import Path
from typing import Annotated

import typer


def init(folder: Annotated[Path, typer.Argument(help="Folder to make; default: here.")] = Path()) -> int:
    """Make a project with one pipeline that runs at once. Files that are there stay as they are."""
    from dteg.scaffold import create_project

    for path, made in create_project(folder):
        typer.echo(f"{'made' if made else 'kept':<6} {path}")
    step = f"cd {shlex.quote(str(folder))} && " if folder != Path() else ""
    typer.echo(f"\nNext: {step}dteg run hello")
    return 0

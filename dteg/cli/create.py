"""`dteg create`: a component that works, to go on from."""

from typing import Annotated

import typer

WORDS = {
    "connector": "",
    "extractor": "extractor",
    "loader": "loader",
    "processor": "processor",
    "transformer": "transformer",
}


def create(
    what: Annotated[str, typer.Argument(help=f"One of {', '.join(WORDS)}.", metavar="WHAT")],
    name: Annotated[
        str, typer.Argument(help="Its name in pipelines: small letters, digits, underscores.")
    ] = "",
    *,
    kind: Annotated[str, typer.Option(help="Kind of a connector; default: extractor.")] = "",
    author: Annotated[
        str, typer.Option(help="Person or team; default: the user of Git, or of this machine.")
    ] = "",
    description: Annotated[str, typer.Option(help="One sentence.")] = "",
    namespace: Annotated[str, typer.Option(help="Whose it is in the marketplace.")] = "",
) -> int:
    """Make a component of four files that passes its tests as it is."""
    if what not in WORDS:
        from dteg.core.errors import NotAvailableError

        raise NotAvailableError(
            f"making a table from {what!r}; to make a component, write one of {', '.join(WORDS)}"
        )
    from dteg.core.errors import ConfigError
    from dteg.core.project import Project
    from dteg.scaffold.component import KINDS, NewComponent, create_component

    if not name:
        raise ConfigError(f"which name? write: dteg create {what} NAME")
    wanted = WORDS[what] or kind or "extractor"
    if wanted not in KINDS or (kind and kind != wanted):
        raise ConfigError(
            f"--kind {kind} does not fit; use one of {', '.join(KINDS)}, with: dteg create connector"
        )
    new = NewComponent(wanted, name, author or _author(), description, namespace)  # type: ignore[arg-type] # just checked
    project = Project.find()
    for path in create_component(project, new):
        typer.echo(f"made   {path.relative_to(project.root)}")
    slug = f"{name.replace('_', '-')}-{wanted}"
    typer.echo(f"\nNext: dteg test {slug}")
    return 0


def _author() -> str:
    import getpass
    import subprocess

    try:
        done = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
        return done.stdout.strip() or getpass.getuser()
    except OSError:
        return "unknown"

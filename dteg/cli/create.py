"""`dteg create`: a component that works, to go on from; or a table of a file."""

from typing import Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl
from dteg.cli.tables import (
    Append,
    FormatArgument,
    Key,
    MaxBadRows,
    Preview,
    Replace,
    Set,
    Types,
    create_request,
    run_create,
)

WORDS = {
    "connector": "",
    "extractor": "extractor",
    "loader": "loader",
    "processor": "processor",
    "transformer": "transformer",
}


def create(
    what: Annotated[
        str,
        typer.Argument(help=f"One of {', '.join(WORDS)}; or a file to make a table of.", metavar="WHAT|FILE"),
    ],
    name: Annotated[
        str, typer.Argument(help="Its name in pipelines: small letters, digits, underscores; or the table.")
    ] = "",
    format_: FormatArgument = "",
    *,
    kind: Annotated[str, typer.Option(help="Kind of a connector; default: extractor.")] = "",
    author: Annotated[
        str, typer.Option(help="Person or team; default: the user of Git, or of this machine.")
    ] = "",
    description: Annotated[str, typer.Option(help="One sentence.")] = "",
    namespace: Annotated[str, typer.Option(help="Whose it is in the marketplace.")] = "",
    types: Types = "",
    key: Key = "",
    replace: Replace = False,
    append: Append = False,
    max_bad_rows: MaxBadRows = 0,
    settings: Set = None,
    preview: Preview = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Make a table from a file, or a component: four files that pass their tests as they are."""
    from dteg.core.errors import ConfigError

    of_table = bool(
        types or key or replace or append or max_bad_rows or settings or preview or as_json or format_
    )
    of_component = bool(kind or author or description or namespace)
    if what in WORDS:
        if of_table:
            raise ConfigError(f"{what} makes a component; for a table of a file of that name, write ./{what}")
        return _create_component(what, name, kind, author, description, namespace)
    if of_component:
        raise ConfigError("--kind, --author, --description and --namespace are for components")
    if not name:
        raise ConfigError(_which_table(what))
    request = create_request(
        name, format_, types=types, key=key, replace=replace, append=append, max_bad_rows=max_bad_rows,
        settings=settings or [],
    )  # fmt: skip
    return run_create(what, request, preview=preview, url=url, as_json=as_json)


def _which_table(what: str) -> str:
    from dteg.core.suggest import did_you_mean

    near = did_you_mean(what, WORDS)
    return f"which table? write: dteg create {what} TABLE" + (
        f"; or, for a component, {near}" if near else ""
    )


def _create_component(what: str, name: str, kind: str, author: str, description: str, namespace: str) -> int:
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
    import subprocess

    from dteg.cli.asking import user_name

    try:
        done = subprocess.run(["git", "config", "user.name"], capture_output=True, text=True, check=False)
        return done.stdout.strip() or user_name()
    except OSError:  # no Git
        return user_name()

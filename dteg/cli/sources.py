"""`dteg source ...`: other databases and files, whose tables are read in the warehouse beside its own."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.sources.models import LinkReport, NewSource, RowPage, SourceTable
    from dteg.sources.service import Sources

app = typer.Typer(
    help="Other databases and files, read beside the warehouse's tables.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
SHOWN_PROBLEMS = 20
KIND_OF_SCHEME = {
    "postgresql": "postgres", "postgres": "postgres", "mysql": "mysql", "mariadb": "mysql", "mssql": "mssql",
    "oracle": "oracle",
}  # fmt: skip
SlugArgument = Annotated[str, typer.Argument(metavar="SOURCE", help="Name of the source.")]
TableArgument = Annotated[str, typer.Argument(help="Table as schema.table, or its name if that is enough.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Setting of the kind, such as fetch_size=1000."),
]


@app.command("add")
def add(
    slug: Annotated[str, typer.Argument(metavar="SOURCE", help="Its name: small letters, digits and _.")],
    address: Annotated[
        str,
        typer.Argument(
            metavar="[URL]",
            help="Where it is: a URL, secret://env/NAME, secret://file/PATH, or a file's path.",
        ),
    ] = "",
    kind: Annotated[
        str,
        typer.Option(
            help="postgres, mysql, mssql, oracle, file, json_api or geojson; default: from the URL."
        ),
    ] = "",
    title: Annotated[str, typer.Option(help="Its name for people.")] = "",
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", help="Only tables like this: orders, sales.*, !*_old; several times."),
    ] = None,
    mode: Annotated[
        str, typer.Option(help="fdw: read where it is; staged: copied; auto: as the warehouse can.")
    ] = "auto",
    settings: Settings = None,
    replace: Annotated[bool, typer.Option("--replace", help="Change the source of this name.")] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Add a source and link its tables: dteg source add shop mysql://user:password@host/shop."""
    new = new_source(slug, address, kind, title, tables or [], mode, settings or [])
    report = _service(url).add(new, replace=replace, on_progress=_progress())
    return _print_report(report, as_json)


@app.command("test")
def probe(slug: SlugArgument, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Ask a source whether it answers; the exit code is 1 if it does not."""
    found = _service(url).test(slug)
    if as_json:
        print(found.model_dump_json())
    elif found.ok:
        print(f"{slug} answers{f': {found.server}' if found.server else ''} ({found.ms} ms)")
    else:
        typer.echo(f"{slug} does not answer: {found.message}", err=True)
    return 0 if found.ok else 1


@app.command("list")
def list_(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the sources; the warehouse itself is one."""
    found = _service(url).sources()
    if as_json:
        print_json(found)
        return 0
    rows = [
        (each.slug, each.kind, each.mode, each.state, each.tables or "-", each.last_error or each.address)
        for each in found
    ]
    print_table(("source", "kind", "mode", "state", "tables", "address"), rows)
    return 0


@app.command("tables")
def tables(slug: SlugArgument, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the tables of a source, also those that cannot be read."""
    found = _service(url).tables(slug)
    if as_json:
        print_json(found)
        return 0
    rows = [
        (
            each.full_name,
            "-" if each.row_estimate is None else f"{each.row_estimate:,}",
            len(each.columns),
            ", ".join(each.primary_key) or "-",
            each.relation if each.linked else "not there",
            each.problem,
        )
        for each in found
    ]
    print_table(("table", "rows, about", "columns", "key", "read as", "problem"), rows)
    return 0


@app.command("columns")
def columns(slug: SlugArgument, table: TableArgument, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Show the columns of one table."""
    found = _service(url).table(slug, table)
    if as_json:
        print(found.model_dump_json())
        return 0
    rows = [
        (each.name, each.type, each.remote_type, "yes" if each.nullable else "no", each.description)
        for each in found.columns
    ]
    print_table(("column", "type", "in the source", "null", "description"), rows)
    return _print_problem(found)


@app.command("rows")
def rows(
    slug: SlugArgument,
    table: TableArgument,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Rows at the most.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Rows to pass over.")] = 0,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Show rows of a table, read where they are."""
    page = _service(url).rows(slug, table, limit, offset)
    if as_json:
        print(page.model_dump_json())
        return 0
    _print_rows(page)
    if page.more:
        typer.echo(f"more rows: --offset {offset + limit}", err=True)
    return 0


@app.command("refresh")
def refresh(slug: SlugArgument, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Look at a source again, link what has changed, and say what that was."""
    return _print_report(_service(url).refresh(slug, on_progress=_progress()), as_json)


@app.command("remove")
def remove(slug: SlugArgument, url: StudioUrl = "") -> int:
    """Forget a source that no dataset uses; the source itself is left alone."""
    _service(url).remove(slug)
    print(f"removed {slug}")
    return 0


@app.command("relink")
def relink() -> int:
    """Give all sources their passwords back after a restore: backups of the warehouse hold none."""
    from dteg.core.project import Project
    from dteg.sources.service import Sources

    problems = Sources.of(Project.find()).relink_all()
    for slug, message in problems.items():
        typer.echo(f"{slug}: {message}", err=True)
    print("all sources have their passwords" if not problems else f"{len(problems)} sources are not linked")
    return 1 if problems else 0


def new_source(
    slug: str, address: str, kind: str, title: str, tables: list[str], mode: str, settings: list[str]
) -> "NewSource":
    """Return the words of the command line as a source.

    Raises:
        ConfigError: They do not fit; the message does not repeat the address, for it may hold a password.
    """
    from pydantic import ValidationError

    from dteg.core.errors import ConfigError, Problem
    from dteg.sources.models import NewSource

    options: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting!r}: write NAME=VALUE")
        options[name.strip()] = _value(text)
    kind = kind or _kind(address)
    if kind in ("file", "geojson"):
        options.setdefault("path", address)
        address = ""
    try:
        return NewSource.model_validate(
            {
                "slug": slug,
                "kind": kind,
                "title": title,
                "url": address,
                "options": options,
                "tables": tables,
                "mode": mode,
            }
        )
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(each["msg"].removeprefix("Value error, "), path=".".join(map(str, each["loc"])))
                for each in error.errors(include_input=False)
            ]
        ) from None


def _kind(address: str) -> str:
    from dteg.core.errors import ConfigError
    from dteg.core.secrets import resolve

    text = resolve(address) if address.startswith("secret://") else address
    scheme, separator, _ = text.partition("://")
    if separator and scheme in KIND_OF_SCHEME:
        return KIND_OF_SCHEME[scheme]
    suffix = Path(text.split("?")[0]).suffix.lower()
    if suffix == ".geojson":
        return "geojson"
    if suffix and (not separator or scheme in ("http", "https")):
        return "file"
    raise ConfigError(
        "say what kind of source it is: --kind postgres, mysql, mssql, oracle, file, json_api or geojson"
    )


def _value(text: str) -> Any:
    """Return a setting as JSON if it is some, else as the text it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _service(url: str) -> "Sources":
    from dteg.sources.remote import RemoteSources
    from dteg.sources.service import Sources

    return service(Sources, RemoteSources, url)


def _progress() -> Any:
    if not sys.stderr.isatty():
        return None

    def told(what: str, done: int, of: int) -> None:
        end = "\n" if of and done == of else ""
        print(f"\r\x1b[K{what}{f' ({done} of {of})' if of else ''}", end=end, file=sys.stderr, flush=True)

    return told


def _print_report(report: "LinkReport", as_json: bool) -> int:
    if as_json:
        print(report.model_dump_json())
        return 0
    source = report.source
    print(
        f"{source.slug}: {report.linked} tables can be read ({source.kind}, {source.mode}, {report.seconds:.1f} s)"
    )
    for change in report.drift:
        details = ", ".join(f"{each.column} {each.change}" for each in change.columns)
        broken = f"; touches {', '.join(change.broken)}" if change.broken else ""
        print(f"  {change.table} {change.change}{f': {details}' if details else ''}{broken}")
    for problem in report.problems[:SHOWN_PROBLEMS]:
        typer.echo(f"  {problem.table}: {problem.message}", err=True)
    if (left := len(report.problems) - SHOWN_PROBLEMS) > 0:
        typer.echo(f"  and {left} more: dteg source tables {source.slug}", err=True)
    return 0


def _print_problem(table: "SourceTable") -> int:
    if table.problem:
        typer.echo(table.problem, err=True)
    return 0


def _print_rows(page: "RowPage") -> None:
    texts = [
        ["null" if value is None else value if isinstance(value, str) else json.dumps(value) for value in row]
        for row in page.rows
    ]
    print_table([column.name for column in page.columns], texts)

"""`dteg table ...`, and the short words for the same: create, tables, read, delete, export."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl
from dteg.cli.transfers import print_json, print_table, size_text

if TYPE_CHECKING:
    from dteg.tables.loading import Source
    from dteg.tables.models import CreatedTable, CreateRequest, TableDetail, TableList
    from dteg.tables.service import TableOperations

# What messages of the files extractor name, and the option that sets it.
_OPTIONS = {
    "set `encoding`": "--set encoding=latin-1",
    "set records_path": "--set records_path=data.items, or the format jsonl behind the table",
    "with `member`": "--set member=NAME",
    "set format to one of": "write the format behind the table: dteg create FILE TABLE csv",
    "max_bad_rows:": "--max-bad-rows N sets up to N rows aside instead",
}
READ_FORMATS = ("table", "csv", "json", "jsonl")
_FORMATS_HELP = "csv, tsv, json, jsonl, parquet, xlsx or geojson; default: from the file's name."

app = typer.Typer(
    help="Make tables from files, list, read, export and delete them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

TableArgument = Annotated[
    str, typer.Argument(help="Table or view as schema.table; without a schema: public.")
]
Where = Annotated[str, typer.Option(help="Only rows like these, such as: \"age >= 18 and name like 'A%'\".")]
Columns = Annotated[str, typer.Option(help="Columns, separated by commas; default: all.")]
OrderBy = Annotated[str, typer.Option(help="Column to sort by; a minus before it sorts downwards.")]
FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="A file, a pattern, a URL, or - for standard input.")
]
FormatArgument = Annotated[str, typer.Argument(metavar="[FORMAT]", help=_FORMATS_HELP)]
Types = Annotated[
    str,
    typer.Option(
        metavar="COLUMN=TYPE,...", help="SQL types of some columns; the others are found from all rows."
    ),
]
Key = Annotated[str, typer.Option(metavar="COLUMN,...", help="Primary key; rows that repeat it are refused.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Exchange the rows of a table that is there; views and grants stay.")
]
Append = Annotated[
    bool,
    typer.Option(
        "--append", help="Add to a table that is there; with --key, rows that are there are updated."
    ),
]
MaxBadRows = Annotated[
    int, typer.Option(min=0, help="Rows that may be set aside instead of refusing the file.")
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Setting of the files extractor, such as delimiter=; or sheet=2026.",
    ),
]
Preview = Annotated[bool, typer.Option("--preview", help="Only say what the table would be.")]


@app.command("create")
def create_table(
    file: FileArgument,
    table: TableArgument,
    format_: FormatArgument = "",
    *,
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
    """Make a table from a file: whole, or not at all."""
    request = create_request(
        table, format_, types=types, key=key, replace=replace, append=append, max_bad_rows=max_bad_rows,
        settings=settings or [],
    )  # fmt: skip
    return run_create(file, request, preview=preview, url=url, as_json=as_json)


def create_request(
    table: str,
    format_: str,
    *,
    types: str,
    key: str,
    replace: bool,
    append: bool,
    max_bad_rows: int,
    settings: list[str],
) -> "CreateRequest":
    """Return the words of the command line as a request.

    Raises:
        ConfigError: They do not fit.
    """
    from dteg.core.errors import ConfigError
    from dteg.tables.models import FILE_FORMATS, CreateRequest
    from dteg.tables.requests import checked, names_in, settings_in, types_in

    if replace and append:
        raise ConfigError("use either --replace or --append")
    if format_ and format_ not in FILE_FORMATS:
        raise ConfigError(f"format {format_!r}: use one of {', '.join(FILE_FORMATS)}")
    return checked(
        CreateRequest, table=table, format=format_ or None, types=types_in(types), key=names_in(key),
        mode="replace" if replace else "append" if append else "new", max_bad_rows=max_bad_rows,
        options=settings_in(settings),
    )  # fmt: skip


def run_create(file: str, request: "CreateRequest", *, preview: bool, url: str, as_json: bool) -> int:
    """Load a file, or look at it; print what became of it."""
    from dteg.cli.progress import progress_display
    from dteg.tables.files import as_source

    service = _service(url)
    with _in_words_of_options(), as_source(file, request.format) as source:
        if preview:
            return _print_preview(service, request, source, as_json=as_json)
        with progress_display(quiet=as_json) as progress:
            made = service.create(request, source, progress)
    if as_json:
        print(made.model_dump_json())
    else:
        _print_made(made)
    return 0


@app.command("list")
def list_(
    schema: Annotated[str, typer.Argument(help="Only this schema.")] = "",
    *,
    exact: Annotated[bool, typer.Option("--exact", help="Count large tables and views too.")] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """List tables with their rows, size and columns; ~ marks the database's estimate."""
    from dteg.tables.models import TableSummary

    service = _service(url)
    found: list[TableSummary] = []
    after: str | None = ""
    while after is not None:
        part: TableList = service.list(schema, after=after, exact=exact)
        found += part.items
        after = part.next
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo("no tables yet; make one of a file: dteg create FILE TABLE", err=True)
    rows = [
        (each.table, _count(each.rows, exact=each.rows_are_exact), size_text(each.bytes), each.column_count, each.kind)
        for each in found
    ]  # fmt: skip
    print_table(("table", "rows", "size", "columns", "kind"), rows)
    return 0


@app.command("show")
def show(table: TableArgument, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Show the columns of a table."""
    found: TableDetail = _service(url).get(table)
    if as_json:
        print(found.model_dump_json())
        return 0
    print(
        f"{found.table}: {found.kind}, {_count(found.rows, exact=found.rows_are_exact)} rows, {size_text(found.bytes)}"
    )
    print_table(
        ("column", "type", "null", "key", "comment"),
        [
            (
                each.name,
                each.type,
                "yes" if each.nullable else "no",
                "yes" if each.in_key else "",
                each.comment,
            )
            for each in found.columns
        ],
    )
    return 0


@app.command("read")
def read(
    table: TableArgument,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows at the most.")] = 20,
    columns: Columns = "",
    where: Where = "",
    order_by: OrderBy = "",
    format: Annotated[str, typer.Option(help=f"One of {', '.join(READ_FORMATS)}.")] = "table",  # noqa: A002
    url: StudioUrl = "",
) -> int:
    """Show rows of a table or view."""
    from dteg.cli.render import render
    from dteg.core.errors import ConfigError
    from dteg.tables.models import ReadRequest
    from dteg.tables.requests import checked, names_in

    if format not in READ_FORMATS:
        raise ConfigError(f"--format {format}: use one of {', '.join(READ_FORMATS)}")
    request = checked(
        ReadRequest, table=table, columns=names_in(columns), where=where, order_by=order_by, limit=limit
    )
    found = _service(url).read(request)
    render(found, format)
    if found.next is not None and format == "table":
        typer.echo(f"there are more rows: --limit {10 * len(found.rows)}", err=True)
    return 0


@app.command("delete")
def delete(
    table: TableArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: StudioUrl = "",
) -> int:
    """Delete a table or view that nothing needs; asks first."""
    from dteg.cli.asking import confirm_deletion
    from dteg.core.errors import ConflictError
    from dteg.tables.deletion import listed

    service = _service(url)
    found = service.get(table)
    if uses := service.uses(found.table):
        raise ConflictError(f"{found.table} is needed; nothing was deleted\n{listed(uses)}")
    if not yes:
        rows = _count(found.rows, exact=found.rows_are_exact)
        confirm_deletion(f"Delete the {found.kind} {found.table} with {rows} rows?", found.table)
    gone = service.delete(found.table)
    print(f"deleted {gone.table}")
    return 0


@app.command("export")
def export(
    table: TableArgument,
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="csv, json, jsonl, parquet or xlsx.")],
    *,
    out: Annotated[
        str,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Where to; - is standard output. Default: TABLE.FORMAT."
        ),
    ] = "",
    columns: Columns = "",
    where: Where = "",
    order_by: OrderBy = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Rows at the most; default: all.")] = None,
    formula_guard: Annotated[
        bool, typer.Option(help="csv, xlsx: put ' before texts that a spreadsheet would run as a formula.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    url: StudioUrl = "",
) -> int:
    """Write the rows of a table to a file."""
    from dteg.core.errors import ConfigError
    from dteg.tables.files import write_file, write_stream
    from dteg.tables.models import EXPORT_FORMATS, ExportRequest
    from dteg.tables.requests import checked, names_in

    if format_ not in EXPORT_FORMATS:
        raise ConfigError(f"format {format_!r}: use one of {', '.join(EXPORT_FORMATS)}")
    request = checked(
        ExportRequest, table=table, format=format_, columns=names_in(columns), where=where, order_by=order_by, limit=limit,
        formula_guard=formula_guard,
    )  # fmt: skip
    parts = _service(url).export(request)
    if out == "-":
        write_stream(sys.stdout.buffer, parts)
        return 0
    path = Path(out or f"{request.table.removeprefix('public.').replace('/', '_')}.{format_}")
    size = write_file(path, parts, overwrite=overwrite)
    print(f"{path}: {size:,} bytes")
    return 0


@contextmanager
def _in_words_of_options() -> Iterator[None]:
    """Add to what is said of a setting of the extractor how it is given here."""
    from dteg.core.errors import DtegError

    try:
        yield
    except DtegError as error:
        text = str(error)
        hints = [hint for word, hint in _OPTIONS.items() if word in text]
        if hints:
            error.args = (f"{text}\nhere: {'; '.join(hints)}",)
        raise


def _service(url: str) -> "TableOperations":
    from dteg.cli.studio import service
    from dteg.tables.remote import RemoteTables
    from dteg.tables.service import Tables

    return service(Tables, RemoteTables, url)


def _count(rows: int | None, *, exact: bool) -> str:
    return "-" if rows is None else f"{'' if exact else '~'}{rows:,}"


def _print_made(made: "CreatedTable") -> None:
    word = {"new": "made", "replace": "replaced", "append": "added to"}[made.mode]
    aside = f", {made.rows_rejected:,} set aside in {made.table}__dead_letters" if made.rows_rejected else ""
    columns = f"{len(made.columns)} column{'s' * (len(made.columns) != 1)}"
    print(f"{word} {made.table}: {made.rows_written:,} rows{aside}, {columns}, {made.seconds:.1f} s")


def _print_preview(
    service: "TableOperations", request: "CreateRequest", source: "Source", *, as_json: bool
) -> int:
    found = service.preview(request, source)
    if as_json:
        print(found.model_dump_json())
        return 0
    examples = [
        next((row[at] for row in found.rows if row[at] is not None), "") for at in range(len(found.columns))
    ]
    print_table(
        ("column", "type", "for example"),
        [
            (each.name, each.type, " ".join(str(shown).split()))
            for each, shown in zip(found.columns, examples, strict=True)
        ],
    )
    for reason in found.bad_rows:
        typer.echo(f"would be set aside: {reason}", err=True)
    return 0

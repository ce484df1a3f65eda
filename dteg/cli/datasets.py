"""`dteg dataset ...`: rows of several databases, put together without SQL."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table, size_text

if TYPE_CHECKING:
    from dteg.datasets.models import Dataset, Generation, RowPage
    from dteg.datasets.preview import Preview
    from dteg.datasets.service import Datasets
    from dteg.datasets.spec import DatasetSpec

app = typer.Typer(
    help="Datasets: rows of several databases, put together without SQL.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Slug = Annotated[str, typer.Argument(metavar="DATASET", help="Name of the dataset.")]
FormatOption = Annotated[str, typer.Option("--format", help="table, csv, json or jsonl.")]


@app.command("apply")
def apply(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML files of datasets.")],
    refresh: Annotated[bool, typer.Option("--refresh", help="Refresh them, too, in this order.")] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Save the datasets that files describe, new or changed."""
    datasets = _service(url)
    found = [datasets.apply(file) for file in files]
    if refresh:
        for each in found:
            _refresh(datasets, each.slug, url)
        found = [datasets.get(each.slug) for each in found]
    if as_json:
        print_json(found)
        return 0
    for each in found:
        print(
            f"{each.slug}: {each.state}, revision {each.revision}, {len(each.columns)} columns{_rows(each)}"
        )
    if any(each.live is None for each in found):
        typer.echo("make the rows: dteg dataset refresh DATASET", err=True)
    return 0


@app.command("list")
def list_(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the datasets: state, rows and how old they are."""
    found = _service(url).datasets()
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo("no datasets; make one in the studio, or from a file: dteg dataset apply FILE", err=True)
        return 0
    lines = [
        (
            each.slug,
            str(each.state),
            f"{each.live.rows:,}" if each.live and each.live.rows is not None else "-",
            _age(each),
            each.schedule or "-",
            each.title or "-",
        )
        for each in found
    ]
    print_table(("dataset", "state", "rows", "age", "schedule", "title"), lines)
    for each in found:
        if each.problem:
            typer.echo(f"{each.slug}: {each.problem}", err=True)
    return 0


@app.command("show")
def show(slug: Slug, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Show one dataset: what it reads, its columns, its rows and its problems."""
    found = _service(url).get(slug)
    if as_json:
        print(found.model_dump_json())
        return 0
    live = found.live
    lines = [
        ("state", str(found.state)),
        ("made from", found.file or found.origin),
        ("read it as", found.relation),
        ("reads", ", ".join(each.name for each in found.depends_on)),
        ("generation", f"{live.n} ({size_text(live.bytes or 0)})" if live else "-"),
        ("rows", f"{live.rows:,}" if live and live.rows is not None else "-"),
        ("age", _age(found)),
        ("next refresh", _time(found.next_at)),
    ]
    for name, value in lines:
        print(f"{name + ':':14}{value}")
    print_table(
        ("column", "type"), [(each.name, each.type) for each in (live.columns if live else found.columns)]
    )
    if found.problem:
        typer.echo(f"problem: {found.problem}", err=True)
    return 0


@app.command("refresh")
def refresh(
    slugs: Annotated[list[str], typer.Argument(metavar="DATASET...", help="Names of datasets, in order.")],
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Wait so long for a refresh that goes on already.")
    ] = 0.0,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Build the rows anew, check them, and let readers see them; on any error the rows before stay."""
    datasets = _service(url)
    found = [_refresh(datasets, slug, url, wait) for slug in slugs]
    if as_json:
        print_json(found)
        return 0
    for each in found:
        print(
            f"{each.dataset}: generation {each.n}, {each.rows or 0:,} rows, {size_text(each.bytes or 0)} "
            f"in {each.seconds or 0:.2f} s"
        )
        for check in each.checks:
            if not check.passed:
                typer.echo(f"{each.dataset}: check {check.name}: {check.message}", err=True)
    return 0


@app.command("preview")
def preview(
    file: Annotated[
        str, typer.Argument(metavar="FILE|DATASET", help="A YAML file, or the name of a dataset.")
    ],
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Rows to show.")] = 10,
    sql: Annotated[bool, typer.Option("--sql", help="Show the SQL as well.")] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Show the first rows a definition gives, and warnings; nothing is saved."""
    datasets = _service(url)
    found = datasets.preview(_spec(datasets, file), rows)
    if as_json:
        print(found.model_dump_json())
        return 0
    if sql:
        print(found.sql, end="\n\n")
    _print_preview(found)
    return 0


@app.command("rows")
def rows(
    slug: Slug,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Rows at the most.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Rows to pass over.")] = 0,
    where: Annotated[
        str, typer.Option(help="Only rows like these, such as: \"total > 5 and country = 'KZ'\".")
    ] = "",
    order_by: Annotated[str, typer.Option(help="Column to sort by; a minus before it sorts downwards.")] = "",
    columns: Annotated[str, typer.Option(help="Columns, separated by commas; default: all.")] = "",
    format_: FormatOption = "table",
    url: StudioUrl = "",
) -> int:
    """Show rows that readers see now."""
    from dteg.tables.requests import names_in

    page = _service(url).rows(slug, limit, offset, where, order_by, columns=names_in(columns))
    _print_rows(page, format_)
    if page.more:
        typer.echo(f"there are more rows: --offset {page.next}", err=True)
    return 0


@app.command("generations")
def generations(
    slug: Slug,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Generations at the most.")] = 20,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """List the copies of the rows, newest first, and why some failed."""
    found = _service(url).generations(slug, limit)
    if as_json:
        print_json(found)
        return 0
    lines = [
        (
            str(each.n),
            str(each.status),
            _time(each.started_at),
            f"{each.rows:,}" if each.rows is not None else "-",
            size_text(each.bytes) if each.bytes is not None else "-",
            f"{each.seconds:.2f} s" if each.seconds is not None else "-",
            each.error.splitlines()[0] if each.error else "-",
        )
        for each in found
    ]
    print_table(("n", "status", "started", "rows", "size", "took", "error"), lines)
    return 0


@app.command("rollback")
def rollback(
    slug: Slug,
    to: Annotated[
        int, typer.Option(min=0, metavar="N", help="Which generation; default: the one before.")
    ] = 0,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Let readers see an earlier generation again, at once."""
    found = _service(url).rollback(slug, to or None)
    if as_json:
        print(found.model_dump_json())
        return 0
    print(f"{slug}: generation {found.n} is live, {found.rows or 0:,} rows as of {_time(found.data_as_of)}")
    return 0


@app.command("export")
def export(
    slug: Slug,
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Where to; default: standard output.")] = "",
    url: StudioUrl = "",
) -> int:
    """Write the definition of a dataset as YAML, which apply reads."""
    from dteg.core.places import write_whole

    text = _service(url).export(slug)
    if not file:
        sys.stdout.write(text)
        return 0
    write_whole(Path(file), text.encode())
    typer.echo(f"wrote {file}", err=True)
    return 0


@app.command("validate")
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML files of datasets.")],
    sql: Annotated[bool, typer.Option("--sql", help="Show the SQL.")] = False,
    url: StudioUrl = "",
) -> int:
    """Check files of datasets against their sources; nothing is saved or run."""
    datasets = _service(url)
    for file in files:
        compiled = datasets.validate(_spec(datasets, str(file)))
        print(f"{file}: valid, {len(compiled.columns)} columns")
        for each in compiled.warnings:
            typer.echo(f"{file}: {each.path}: {each.message}", err=True)
        if sql:
            print(compiled.sql)
    return 0


@app.command("remove")
def remove(slug: Slug, url: StudioUrl = "") -> int:
    """Delete a dataset with its rows, if nothing reads it."""
    found = _service(url).remove(slug)
    print(f"removed {found.slug} and {found.generations} generations")
    return 0


def _service(url: str) -> "Datasets":
    from dteg.datasets.remote import RemoteDatasets
    from dteg.datasets.service import Datasets

    return service(Datasets, RemoteDatasets, url)


def _refresh(datasets: "Datasets", slug: str, url: str, wait: float = 0.0) -> "Generation":
    """Refresh, and where the work is done here tell the alerts of it."""
    if url:
        return datasets.refresh(slug, wait_s=wait)
    from dteg.datasets.refreshing.telling import telling

    with telling(datasets.project, slug) as told:
        return told.refresh(wait_s=wait)


def _spec(datasets: "Datasets", file: str) -> "DatasetSpec":
    """Return a definition: of a file if there is one of this name, else of a dataset."""
    from dteg.datasets.spec import load_spec

    path = Path(file)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return load_spec(path, file)
    return datasets.get(file).definition


def _print_preview(found: "Preview") -> None:
    from dteg.cli.render import render
    from dteg.tables.models import Column, Rows

    columns = [Column(name=each.name, type=each.type) for each in found.columns]
    render(Rows(table="preview", columns=columns, rows=found.rows), "table")
    for each in found.warnings:
        typer.echo(f"{each.path}: {each.message}" if each.path else each.message, err=True)


def _print_rows(page: "RowPage", format_: str) -> None:
    from dteg.cli.render import render
    from dteg.cli.tables import READ_FORMATS
    from dteg.core.errors import ConfigError
    from dteg.tables.models import Column, Rows

    if format_ not in READ_FORMATS:
        raise ConfigError(f"format {format_!r}: use one of {', '.join(READ_FORMATS)}")
    columns = [Column(name=each.name, type=each.type) for each in page.columns]
    render(Rows(table=page.dataset, columns=columns, rows=page.rows), format_)


def _rows(dataset: "Dataset") -> str:
    return f", {dataset.live.rows:,} rows" if dataset.live and dataset.live.rows is not None else ""


def _age(dataset: "Dataset") -> str:
    if dataset.age_s is None:
        return "-"
    from datetime import timedelta

    from dteg.core.durations import describe_duration

    return describe_duration(timedelta(seconds=dataset.age_s)) + (", stale" if dataset.stale else "")


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"

"""`dteg metadata ...`: what is in the databases, collected for people and models that write SQL."""

from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli import metadata_ask
from dteg.cli.studio import AsJson, StudioUrl
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.metadata.models import CacheManifest, ColumnEntry, TableDocument
    from dteg.metadata.remote import RemoteMetadata
    from dteg.metadata.reports import QualityReport, SuggestReport
    from dteg.metadata.service import Metadata

app = typer.Typer(
    help="What is in the databases: collected, proved by running it, and published for whoever writes SQL.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("ask")(metadata_ask.ask)
Source = Annotated[str, typer.Argument(metavar="[SOURCE]", help="Source; default: warehouse.")]
SourceOption = Annotated[str, typer.Option("--source", metavar="SOURCE", help="Source; default: warehouse.")]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="URI", envvar="DTEG_METADATA_URI",
        help="Where caches lie: a folder, s3://, gs:// or az://; default: .dteg/metadata.",
    ),
]  # fmt: skip
_MAX_SHOWN = 60
_MAX_UNDESCRIBED = 5


@app.command("collect")
def collect(
    source: Source = "warehouse",
    full: Annotated[
        bool, typer.Option("--full", help="Read all rows again, run all examples, and mend what is broken.")
    ] = False,
    to: To = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Collect the metadata of a source, and publish a version if anything differs."""
    report = _metadata(to, url).collect(source, full=full)
    if as_json:
        print(report.model_dump_json())
        return 0
    done = "published" if report.published else "nothing differs from"
    print(
        f"{report.source}: {done} version {report.cache_version}, {report.tables} tables ({report.tables_read} read), "
        f"{report.examples.get('valid', 0)} of {sum(report.examples.values())} examples valid, "
        f"score {report.quality.score:.1f}, {report.seconds:.1f} s"
    )
    if report.query_log:
        typer.echo(f"query log: {report.query_log}", err=True)
    for message in [*report.problems, *(each.message for each in report.alerts)]:
        typer.echo(message, err=True)
    return 0


@app.command("show")
def show(
    table: Annotated[
        str, typer.Argument(metavar="[TABLE]", help="Table; default: a list of all tables.")
    ] = "",
    source: SourceOption = "warehouse",
    examples: Annotated[bool, typer.Option("--examples", help="Show the examples instead.")] = False,
    versions: Annotated[bool, typer.Option("--versions", help="Show the versions instead.")] = False,
    quality: Annotated[bool, typer.Option("--quality", help="Show how good the cache is instead.")] = False,
    to: To = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Show the tables of the cache, one of them, its examples, versions or quality."""
    metadata = _metadata(to, url)
    if quality:
        report = metadata.quality(source)
        print(report.model_dump_json()) if as_json else _print_quality(report)
    elif versions:
        found = metadata.manifest(source)
        rows = [
            (str(each.cache_version), f"{each.generated_at:%Y-%m-%d %H:%M}", str(each.tables))
            for each in found.history
        ]
        now = (
            f"{found.cache_version} (current)",
            f"{found.generated_at:%Y-%m-%d %H:%M}",
            str(len(found.tables)),
        )
        print_json(found.history) if as_json else print_table(
            ("version", "collected", "tables"), [now, *rows]
        )
    elif examples:
        listed = metadata.examples(source)
        told = [
            (each.status, each.origin, each.id, each.question, each.why or " ".join(each.tables))
            for each in listed
        ]
        head = ("status", "origin", "id", "question", "tables")
        print_json(listed) if as_json else print_table(head, told)
    elif table:
        document = metadata.show(table, source)
        print(document.model_dump_json(by_alias=True)) if as_json else _print_table(document)
    else:
        manifest = metadata.manifest(source)
        print(manifest.model_dump_json()) if as_json else _print_tables(manifest)
    return 0


@app.command("rollback")
def rollback(
    version: Annotated[int, typer.Argument(metavar="VERSION", min=1, help="As `show --versions` lists it.")],
    source: SourceOption = "warehouse",
    to: To = "",
    url: StudioUrl = "",
) -> int:
    """Make the tables of an older version current again."""
    done = _metadata(to, url).rollback(version, source)
    print(
        f"{source}: version {done.cache_version} has the tables of version {version} ({len(done.tables)} tables)"
    )
    return 0


@app.command("export")
def export(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Where to; files of the same names are replaced.")
    ],
    source: SourceOption = "warehouse",
    to: To = "",
    url: StudioUrl = "",
) -> int:
    """Write the manifest and a JSON file for each table to a folder."""
    from pathlib import Path

    count = _metadata(to, url).export(Path(folder), source)
    print(f"{folder}: manifest.json and {count} tables")
    return 0


@app.command("add-example")
def add_example(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="As people ask it.")],
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT that answers it.")],
    source: SourceOption = "warehouse",
    to: To = "",
    url: StudioUrl = "",
) -> int:
    """Run an example where it cannot write, and add it to `metadata/examples.yaml` if it is right."""
    example = _metadata(to, url).add_example(question, sql, source)
    print(f"added: {example.question} ({example.row_count} rows, {' '.join(example.tables)})")
    return 0


@app.command("key")
def make_key(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where the new key goes; never over another file.")
    ],
) -> int:
    """Make a key that caches are signed with (DTEG_METADATA_KEY), and print its public part for readers."""
    from pathlib import Path

    from dteg.signing import SigningKey

    key = SigningKey.generate()
    key.save(Path(file).expanduser())
    print(key.public)
    return 0


@app.command("suggest")
def suggest(
    source: Source = "warehouse",
    table: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this table; may be given several times. Default: those with the fewest examples."
        ),
    ] = None,
    per_table: Annotated[int, typer.Option(min=1, max=10, help="Most examples for each table.")] = 3,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most tables, where none are named.")] = 10,
    to: To = "",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Let the configured model propose examples; those that are proved go to `metadata/examples.yaml`."""
    report = _metadata(to, url).suggest(source, tables=table or [], per_table=per_table, limit=limit)
    if as_json:
        print(report.model_dump_json())
    else:
        _print_suggestions(report)
    return 1 if report.failures and not report.added else 0


def _print_suggestions(report: "SuggestReport") -> None:
    print(
        f"{report.source}: {report.model} was asked about {report.tables} tables and proposed {report.proposed} examples: "
        f"{len(report.added)} proved and added, {len(report.refused)} refused, {len(report.failures)} questions failed"
    )
    for each in report.added:
        print(f"added: {_one_line(each.question)} ({each.row_count} rows, {' '.join(each.tables)})")
    for refusal in report.refused:
        typer.echo(f"refused: {_one_line(refusal.question)}: {_one_line(refusal.why)}", err=True)
    for failure in report.failures:
        typer.echo(f"failed: {_one_line(failure)}", err=True)


def _one_line(text: str) -> str:
    """Return a text without what a terminal would act on: a model may write anything."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _metadata(to: str, url: str) -> "Metadata | RemoteMetadata":
    if url:
        import os

        from dteg.cli.studio import client_for
        from dteg.core.errors import ConfigError
        from dteg.metadata.remote import RemoteMetadata

        if to != os.environ.get("DTEG_METADATA_URI", ""):
            raise ConfigError("--to does not go with --url: the studio says where its caches lie")
        return RemoteMetadata(client_for(url))
    from dteg.core.project import Project
    from dteg.metadata import metadata_of

    return metadata_of(Project.find(), to)


def _print_tables(manifest: "CacheManifest") -> None:
    print(
        f"version {manifest.cache_version}, collected {manifest.generated_at:%Y-%m-%d %H:%M} UTC, "
        f"score {manifest.quality.score:.1f}"
    )
    rows = [
        (
            each.table_id, "-" if each.row_count is None else f"{each.row_count:,}", str(each.columns), str(each.examples),
            each.description[:_MAX_SHOWN],
        )
        for each in manifest.tables
    ]  # fmt: skip
    print_table(("table", "rows", "columns", "examples", "description"), rows)


def _print_table(document: "TableDocument") -> None:
    table = document.table
    count = "unknown rows" if table.row_count is None else f"{table.row_count:,} rows"
    print(
        f"{table.table_id}: {table.kind}, {count}"
        + (f", key {', '.join(table.primary_key)}" * bool(table.primary_key))
    )
    if table.description:
        print(table.description)
    print_table(("column", "type", "values", "description"), [_column_row(each) for each in table.columns])
    for key in table.foreign_keys:
        print(f"{', '.join(key.columns)} -> {key.ref_table} ({', '.join(key.ref_columns)}), {key.origin}")
    for example in document.examples:
        print(f"\n-- {example.question}\n{example.sql}")


def _column_row(column: "ColumnEntry") -> tuple[str, str, str, str]:
    if column.pii:
        values = f"about people ({column.pii})"
    elif column.top_values:
        values = ", ".join(each.value for each in column.top_values[:4])
    elif column.min is not None:
        values = f"{column.min} to {column.max}"
    else:
        values = column.pattern or ""
    return column.name, column.type, values[:_MAX_SHOWN], column.description[:_MAX_SHOWN]


def _print_quality(report: "QualityReport") -> None:
    quality = report.quality
    print_table(
        ("measure", "value"),
        [
            ("score", f"{quality.score:.1f}"),
            ("columns described", f"{quality.columns_described_pct:.1f} %"),
            ("examples valid", f"{quality.examples_valid_pct:.1f} %"),
            ("columns in examples", f"{quality.column_coverage_pct:.1f} %"),
            ("tables joined", f"{quality.join_coverage_pct:.1f} %"),
            ("age", f"{quality.freshness_h:.1f} h"),
        ],
    )
    if report.undescribed:
        first, more = report.undescribed[:_MAX_UNDESCRIBED], len(report.undescribed) - _MAX_UNDESCRIBED
        print(f"without a description: {', '.join(first)}{f' and {more:,} more' if more > 0 else ''}")
    for alert in report.alerts:
        print(f"! {alert.message}")
    for example in report.broken:
        print(f"! {example.status}: {example.question}: {example.why}")

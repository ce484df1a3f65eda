"""`dteg read`: look at a table of the warehouse."""

from typing import Annotated

import typer

FORMATS = ("table", "csv", "json", "jsonl")


def read(
    table: Annotated[str, typer.Argument(help="Table or view as schema.table.")],
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows at the most.")] = 20,
    columns: Annotated[str, typer.Option(help="Columns, separated by commas; default: all.")] = "",
    order_by: Annotated[str, typer.Option(help="Column to sort by; a minus before it sorts downwards.")] = "",
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "table",  # noqa: A002
) -> int:
    """Show rows of a table or view of the warehouse."""
    from dteg.cli.render import render
    from dteg.core.errors import ConfigError
    from dteg.core.project import Project
    from dteg.tables.read import Selection, read_rows

    if format not in FORMATS:
        raise ConfigError(f"--format {format}: use one of {', '.join(FORMATS)}")
    names = [name.strip() for name in columns.split(",") if name.strip()]
    render(read_rows(Project.find().warehouse_url(), Selection.parse(table, names, order_by, limit)), format)
    return 0

"""Rows for a person or for a program."""

import csv
import json
import sys
from typing import Any

from dteg.tables.models import NUMBER_TYPES, Rows


def render(result: Rows, format_: str) -> None:
    """Print rows on standard output as table, csv, json or jsonl."""
    names = [column.name for column in result.columns]
    if format_ == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows([_text(value) for value in row] for row in result.rows)
    elif format_ == "json":
        print(_json([dict(zip(names, row, strict=True)) for row in result.rows]))
    elif format_ == "jsonl":
        for row in result.rows:
            print(_json(dict(zip(names, row, strict=True))))
    else:
        _print_table(result)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _text(value: Any) -> Any:
    if isinstance(value, dict | list):
        return _json(value)
    return str(value).lower() if isinstance(value, bool) else value


def _print_table(result: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for column in result.columns:
        is_number = column.type.split("(")[0] in NUMBER_TYPES
        table.add_column(column.name, overflow="fold", justify="right" if is_number else "left")
    for row in result.rows:
        # Text, not str: a value in brackets is data and no markup.
        table.add_row(*[Text(_cell(value)) for value in row])
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # a pipe has no width to fit into
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(_text(value))

"""Rows for a person or for a program."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dteg.cli.transfers import harmless
from dteg.tables.models import NUMBER_TYPES, Rows

if TYPE_CHECKING:
    from rich.console import Console

# A column that has to show its values in less than this is unreadable.
_LEAST_WIDTH = 12


def render(result: Rows, format_: str) -> None:
    """Print rows on standard output as table, csv, json or jsonl."""
    names = [column.name for column in result.columns]
    if format_ != "table" and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as export writes it, wherever this runs
    if format_ == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")  # as export does, and what cut and awk want
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

    names = [harmless(column.name) for column in result.columns]
    rows = [[_cell(value) for value in row] for row in result.rows]
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # a pipe has no width to fit into
    if _fits(names, rows, console.width):
        numbers = [column.type.split("(")[0] in NUMBER_TYPES for column in result.columns]
        _print_grid(console, names, rows, numbers)
    else:
        _print_records(names, rows)


def _fits(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Return whether each column gets enough of a line to be read."""
    from rich.cells import cell_len

    widest = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
    return sum(min(each, _LEAST_WIDTH) + 2 for each in widest) <= width


def _print_grid(
    console: "Console", names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for name, is_number in zip(names, numbers, strict=True):
        table.add_column(Text(name), overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        # Text, not str: a value in brackets is data and no markup.
        table.add_row(*map(Text, row))
    console.print(table)


def _print_records(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a line for each value, where a line for each row would be too narrow."""
    longest = max(map(len, names))
    for number, row in enumerate(rows, 1):
        print(f"-- row {number}")
        for name, value in zip(names, row, strict=True):
            print(f"{name.ljust(longest)}  {value}".rstrip())
    if not rows:
        print(*names, sep="\n")


def _cell(value: Any) -> str:
    return "-" if value is None else harmless(str(_text(value)))

"""Rows for a person or for a program."""

import csv
import json
import math
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from dteg.tables.read import Rows


def render(result: Rows, format_: str) -> None:
    """Print rows on standard output as table, csv, json or jsonl."""
    if format_ == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(result.columns)
        writer.writerows(result.rows)
    elif format_ == "json":
        print(_json([_record(result, row) for row in result.rows]))
    elif format_ == "jsonl":
        for row in result.rows:
            print(_json(_record(result, row)))
    else:
        _print_table(result)


def _record(result: Rows, row: tuple[Any, ...]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in zip(result.columns, row, strict=True)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN
    if isinstance(value, str | int | float | bool | dict | None):
        return value
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def _print_table(result: Rows) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold")
    for name in result.columns:
        table.add_column(name, overflow="fold")
    for row in result.rows:
        # Text, not str: a value in brackets is data and no markup.
        cells = [Text(_cell(value), justify="right" if _is_number(value) else "left") for value in row]
        table.add_row(*cells)
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # a pipe has no width to fit into
    console.print(table)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(_plain(value))

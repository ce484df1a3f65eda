"""Bars for uploads and downloads, and lists for people and for programs."""

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel

Watch = Callable[[str, int, int], None]
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@contextmanager
def transfer_bars(*, quiet: bool = False) -> Iterator[Watch]:
    """Yield a function that shows how far a file is: name, bytes done, bytes in all."""
    if quiet or not sys.stderr.isatty():
        yield lambda name, done, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description:<40.40}"), BarColumn(bar_width=20), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(name: str, done: int, size: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=size)
            progress.update(tasks[name], completed=done)

        yield watch


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; the last column is cut where the line would not fit the terminal (80 columns without one)."""
    texts = [[" ".join(harmless(str(cell)).splitlines()) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    room = max(shutil.get_terminal_size((80, 24)).columns, 60)
    before = sum(widths[:-1]) + 2 * (len(widths) - 1)
    for row in (header, *texts):
        start = "  ".join(cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True))
        last = row[-1]
        if sys.stdout.isatty() and len(last) > room - before:
            last = last[: max(room - before - 3, 10)] + "..."
        print(f"{start}  {last}".rstrip() if start else last)


def harmless(text: str) -> str:
    r"""Return a text that cannot steer a terminal: what others have written is data, `\x1b[2J` in it too."""
    return text if text.isprintable() else _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def print_json(items: "Sequence[BaseModel]") -> None:
    """Print models as one JSON list."""
    print(json.dumps([each.model_dump(mode="json") for each in items]))


def size_text(count: float) -> str:
    """Return a number of bytes for people: 820 B, 12.3 kB, 140 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.0f} TB" if count >= 100 else f"{count:.1f} TB"

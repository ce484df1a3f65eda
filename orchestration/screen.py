"""What a person sees of a long command while Dagster and dbt write about everything else."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from rich.console import Console


class Screen:
    """What the person sees: a spinner on a terminal, plain lines anywhere else.

    Dagster, dbt and their child processes write to the file descriptors of this process; while the
    block runs, those lead to a file, and only what is printed here reaches the terminal.
    """

    def __init__(self, log: Path) -> None:
        """Take the terminal."""
        self.log = log
        self._saved = [os.dup(descriptor) for descriptor in (1, 2)]
        self._file = os.fdopen(os.dup(self._saved[0]), "w", encoding="utf-8")
        self.console = Console(file=self._file, highlight=False)

    def __enter__(self) -> Self:
        """Send everything else to the log."""
        sys.stdout.flush()
        sys.stderr.flush()
        with self.log.open("wb") as handle:
            for descriptor in (1, 2):
                os.dup2(handle.fileno(), descriptor)
        return self

    def __exit__(self, *error: object) -> None:
        """Give the terminal back."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._file.flush()
        for descriptor, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)
        self._file.close()

    @contextlib.contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something is being done."""
        if self.console.is_terminal:
            with self.console.status(text):
                yield
        else:
            self.say(f"{text} ...")
            yield

    def say(self, *things: Any) -> None:
        """Print."""
        self.console.print(*things, soft_wrap=not self.console.is_terminal)
        self._file.flush()

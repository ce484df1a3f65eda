"""What a person sees of a run on a terminal: a bar for each stream."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from dteg.cli.progress import RunProgress


class RunBars(RunProgress):
    """Draws bars on standard error, with the lines above them."""

    def __init__(self) -> None:
        """Prepare; nothing is shown yet."""
        super().__init__()
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description:<28}"), BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}"), TimeElapsedColumn(), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Start the display."""
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End the display."""
        self._progress.stop()

    def _show(self, stream: str, detail: str) -> None:
        self._progress.update(self._tasks[stream], detail=detail)

    def _add(self, key: str, description: str) -> None:
        self._tasks[key] = self._progress.add_task(description, total=None, detail="")

    def _finish(self, key: str, text: str) -> None:
        self._progress.remove_task(self._tasks[key])
        self._line(text)

    def _print(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

"""What can be done with sources, wherever they are."""

from typing import Protocol

from dteg.sources.models import (
    LinkReport,
    NewSource,
    Probe,
    Progress,
    RowPage,
    Source,
    SourceTable,
    TableDrift,
)

DEFAULT_ROWS = 50


class SourceOperations(Protocol):
    """What can be done with sources, here (`Sources`) or over HTTP (`RemoteSources`)."""

    def add(
        self, new: NewSource, *, replace: bool = False, on_progress: Progress | None = None
    ) -> LinkReport:
        """Add a source and link its tables."""
        ...

    def test(self, source: NewSource | str) -> Probe:
        """Ask whether a source answers."""
        ...

    def sources(self) -> list[Source]:
        """Return all sources."""
        ...

    def get(self, slug: str) -> Source:
        """Return one source."""
        ...

    def tables(self, slug: str) -> list[SourceTable]:
        """Return the tables of a source."""
        ...

    def table(self, slug: str, name: str) -> SourceTable:
        """Return one table."""
        ...

    def rows(self, slug: str, table: str, limit: int = DEFAULT_ROWS, offset: int = 0) -> RowPage:
        """Return rows of a table."""
        ...

    def refresh(self, slug: str, *, on_progress: Progress | None = None) -> LinkReport:
        """Look at a source again and link what has changed."""
        ...

    def drift(self, slug: str) -> list[TableDrift]:
        """Say what has changed in a source."""
        ...

    def remove(self, slug: str) -> None:
        """Forget a source."""
        ...

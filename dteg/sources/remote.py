"""Sources of a studio, over HTTP: the same methods as `Sources`."""

from dteg.sources.models import (
    DEFAULT_ROWS,
    LinkReport,
    NewSource,
    Probe,
    Progress,
    RowPage,
    Source,
    SourceTable,
    TableDrift,
)
from dteg.studio_client import StudioClient, quoted


class RemoteSources:
    """The sources of the project of a studio.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def add(
        self, new: NewSource, *, replace: bool = False, on_progress: Progress | None = None
    ) -> LinkReport:
        """Add a source and link its tables."""
        return LinkReport.model_validate(self._client.post("/sources", sent(new), replace=replace or None))

    def test(self, source: NewSource | str) -> Probe:
        """Ask whether a source answers."""
        if isinstance(source, str):
            return Probe.model_validate(self._client.post(f"/sources/{quoted(source)}/test", {}))
        return Probe.model_validate(self._client.post("/sources/test", sent(source)))

    def sources(self) -> list[Source]:
        """Return all sources."""
        return [Source.model_validate(each) for each in self._client.items("/sources")]

    def get(self, slug: str) -> Source:
        """Return one source."""
        return Source.model_validate(self._client.get(f"/sources/{quoted(slug)}"))

    def tables(self, slug: str) -> list[SourceTable]:
        """Return the tables of a source."""
        return [
            SourceTable.model_validate(each) for each in self._client.items(f"/sources/{quoted(slug)}/tables")
        ]

    def table(self, slug: str, name: str) -> SourceTable:
        """Return one table."""
        return SourceTable.model_validate(self._client.get(f"/sources/{quoted(slug)}/tables/{quoted(name)}"))

    def rows(self, slug: str, table: str, limit: int = DEFAULT_ROWS, offset: int = 0) -> RowPage:
        """Return rows of a table."""
        path = f"/sources/{quoted(slug)}/rows/{quoted(table)}"
        return RowPage.model_validate(self._client.get(path, limit=limit, offset=offset))

    def refresh(self, slug: str, *, on_progress: Progress | None = None) -> LinkReport:
        """Look at a source again and link what has changed."""
        return LinkReport.model_validate(self._client.post(f"/sources/{quoted(slug)}/refresh", {}))

    def drift(self, slug: str) -> list[TableDrift]:
        """Say what has changed in a source."""
        found = self._client.get(f"/sources/{quoted(slug)}/drift")["items"]
        return [TableDrift.model_validate(each) for each in found]

    def remove(self, slug: str) -> None:
        """Forget a source."""
        self._client.delete(f"/sources/{quoted(slug)}")


def sent(new: NewSource) -> dict[str, object]:
    """Return a new source as JSON with its secrets: a model that is written down as usual has masks in their place."""
    return {**new.model_dump(mode="json", exclude={"url"}), "url": new.url.get_secret_value()}

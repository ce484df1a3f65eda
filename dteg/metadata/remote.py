"""Metadata caches of a studio, and questions to it, over HTTP: the same methods as `Metadata` and `Asker`."""

from collections.abc import Sequence
from pathlib import Path

from dteg.metadata.ask import SOURCE, Answer
from dteg.metadata.models import CacheManifest, Example, TableDocument, VersionEntry
from dteg.metadata.publish import write_export
from dteg.metadata.reports import CollectReport, QualityReport, SuggestReport, Verdict
from dteg.studio_client import StudioClient, quoted

_PATH = "/metadata"


class RemoteMetadata:
    """See `dteg.metadata.service.Metadata`.

    Args:
        client: Of the studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def collect(self, source: str = SOURCE, *, full: bool = False) -> CollectReport:
        """Collect the metadata of a source."""
        return CollectReport.model_validate(
            self._client.post(f"{_PATH}/collect", {"source": source, "full": full})
        )

    def manifest(self, source: str = SOURCE) -> CacheManifest:
        """Return the manifest of the current version."""
        return CacheManifest.model_validate(self._client.get(f"{_PATH}/manifest", source=source))

    def documents(self, source: str = SOURCE) -> list[TableDocument]:
        """Return all tables of the current version."""
        return [self.show(each.table_id, source) for each in self.manifest(source).tables]

    def show(self, table: str, source: str = SOURCE) -> TableDocument:
        """Return one table."""
        return TableDocument.model_validate(
            self._client.get(f"{_PATH}/tables/{quoted(table)}", source=source)
        )

    def versions(self, source: str = SOURCE) -> list[VersionEntry]:
        """Return the older versions that can be returned to, newest first."""
        return self.manifest(source).history

    def rollback(self, version: int, source: str = SOURCE) -> CacheManifest:
        """Make the tables of an older version current again."""
        body = {"source": source, "version": version}
        return CacheManifest.model_validate(self._client.post(f"{_PATH}/rollback", body))

    def export(self, path: Path, source: str = SOURCE) -> int:
        """Write the manifest and a file for each table to a folder of this machine."""
        return write_export(path, self.manifest(source), self.documents(source))

    def examples(self, source: str = SOURCE) -> list[Example]:
        """Return all examples, those that are not valid at the end."""
        found = self._client.get(f"{_PATH}/all-examples", source=source)["items"]
        return [Example.model_validate(each) for each in found]

    def add_example(self, question: str, sql: str, source: str = SOURCE) -> Example:
        """Prove an example, and add it to the file of the studio's project."""
        body = {"question": question, "sql": sql, "source": source}
        return Example.model_validate(self._client.post(f"{_PATH}/examples", body))

    def suggest(
        self, source: str = SOURCE, *, tables: Sequence[str] = (), per_table: int = 3, limit: int = 10
    ) -> SuggestReport:  # fmt: skip
        """Let the studio's model propose examples."""
        body = {"source": source, "tables": list(tables), "per_table": per_table, "limit": limit}
        return SuggestReport.model_validate(self._client.post(f"{_PATH}/suggest", body))

    def quality(self, source: str = SOURCE) -> QualityReport:
        """Measure the cache as it is now."""
        return QualityReport.model_validate(self._client.get(f"{_PATH}/quality", source=source))

    def check(self, sql: str, source: str = SOURCE, *, run: bool = True) -> Verdict:
        """Have the gate look at a statement, and run it if `run`."""
        body = {"sql": sql, "source": source, "run": run}
        return Verdict.model_validate(self._client.post(f"{_PATH}/run", body))


class RemoteAsker:
    """See `dteg.metadata.ask.Asker`.

    Args:
        client: Of the studio.
        source: Whose cache.
    """

    def __init__(self, client: StudioClient, source: str = SOURCE) -> None:
        self._client, self._source = client, source

    def ask(self, question: str, run: bool = False) -> Answer:
        """Answer a question with the studio's model."""
        body = {"question": question, "source": self._source, "run": run}
        return Answer.model_validate(self._client.post(f"{_PATH}/ask", body))

    def check(self, sql: str, *, run: bool = False) -> Verdict:
        """Look at a statement, and run it if `run`."""
        return RemoteMetadata(self._client).check(sql, self._source, run=run)

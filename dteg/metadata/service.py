"""The metadata cache of a project: collected, shown, returned to, exported, measured."""

import contextlib
import os
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from dteg.ai import Model
from dteg.core.clock import Clock, utc_now
from dteg.core.errors import ConfigError, DtegError, InputError, NotFoundError
from dteg.core.project import Project
from dteg.core.suggest import did_you_mean
from dteg.metadata import quality
from dteg.metadata.collect import Collection, Inputs, Progress
from dteg.metadata.dbt import dbt_tables
from dteg.metadata.examples import Verifier, new_example
from dteg.metadata.gate import check_sql
from dteg.metadata.models import CacheManifest, Example, TableDocument, VersionEntry
from dteg.metadata.notes import ExampleNote, append_example, example_notes, examples_file, table_notes
from dteg.metadata.probers import Limits
from dteg.metadata.publish import Publisher, write_export
from dteg.metadata.reaching import reached
from dteg.metadata.reports import Alert, CollectReport, QualityReport, SuggestReport, Verdict
from dteg.metadata.store import open_store
from dteg.metadata.suggest import MOST_PER_TABLE, PER_TABLE, TABLES, Suggesting, chosen_tables
from dteg.signing import SigningKey
from dteg.sources.models import WAREHOUSE

_SLUG = re.compile(r"[a-z][a-z0-9_]{0,62}")
URI_VARIABLE = "DTEG_METADATA_URI"
KEY_VARIABLE = "DTEG_METADATA_KEY"
GZIP_VARIABLE = "DTEG_METADATA_GZIP"
# What a collection can find wrong; that a cache is old it never finds, having just made it.
_ALERTS = ("examples_invalid", "score_dropped")


class Metadata:
    """The caches of one project: one for each source.

    Args:
        project: Whose.
        to: Folder or bucket below which they lie; default: DTEG_METADATA_URI, else `.dteg/metadata`.
        clock: The time.
        key: File of the key that manifests are signed with; default: DTEG_METADATA_KEY, else none.
        gzip: Pack the objects of tables; default: whether DTEG_METADATA_GZIP is 1.
    """

    def __init__(
        self,
        project: Project,
        to: str = "",
        clock: Clock = utc_now,
        *,
        key: str = "",
        gzip: bool | None = None,
    ) -> None:
        self.project, self._clock = project, clock
        self._to = to or os.environ.get(URI_VARIABLE, "")
        file = key or os.environ.get(KEY_VARIABLE, "")
        self._key = SigningKey.load(Path(file).expanduser()) if file else None
        self._gzip = os.environ.get(GZIP_VARIABLE) == "1" if gzip is None else gzip

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    @property
    def public_key(self) -> str:
        """The public part of the key that manifests are signed with; "" without one."""
        return self._key.public if self._key else ""

    def now(self) -> datetime:
        """Return the time by the clock of these caches."""
        return self._clock()

    def sources(self) -> list[str]:
        """Return the names of all that may have a cache: the warehouse, sources, and those of `metadata/sources.yaml`.

        What cannot be read now is left out.
        """
        from dteg.metadata.clouds import cloud_sources
        from dteg.sources.models import Kind
        from dteg.sources.service import Sources

        names = [WAREHOUSE]
        with contextlib.suppress(DtegError):
            kinds = (Kind.POSTGRES, Kind.MYSQL)
            names += [each.slug for each in Sources.of(self.project).sources() if each.kind in kinds]
        with contextlib.suppress(DtegError):
            names += [each.name for each in cloud_sources(self.project)]
        return list(dict.fromkeys(names))

    def uri(self, source: str = WAREHOUSE) -> str:
        """Return where the cache of a source lies: what `MetadataClient` is made with.

        Raises:
            NotFoundError: No source can have that name.
        """
        if not _SLUG.fullmatch(source):  # it becomes part of a path
            raise NotFoundError(f"there is no source {source!r}")
        base = self._to or str(self.project.state_dir / "metadata")
        return f"{base.rstrip('/')}/{source}"

    def collect(
        self, source: str = WAREHOUSE, *, full: bool = False, on_progress: Progress | None = None
    ) -> CollectReport:
        """Collect the metadata of a source, and publish a version if anything differs.

        Args:
            source: `warehouse`, or the name of a source.
            full: Read all rows again, run all examples again, and mend what is broken.
            on_progress: Is told how many tables are done, of how many.

        Raises:
            NotFoundError: There is no such source.
            ConfigError: A file of `metadata/` is wrong.
            InputError: What was published was changed by somebody.
            TransientError: The database does not answer.
        """
        self.uri(source)  # nobody is told of a source that cannot be
        try:
            report = self._collect(source, full=full, on_progress=on_progress)
        except DtegError as error:
            self._report(source, "publish_failed", str(error))
            raise
        self._report(source, "publish_failed", "")
        self._report_all(source, report.alerts)
        self._report_fresh(source)
        return report

    def _collect(self, source: str, *, full: bool, on_progress: Progress | None) -> CollectReport:
        notes, file = table_notes(self.project, source), examples_file(self.project)
        examples = [note for note in file.examples if note.source == source]
        dbt = dbt_tables(self.project) if source == WAREHOUSE else {}
        inputs = Inputs(
            notes, examples, dbt, file.query_log, frozenset(file.left_out), closed=self._closed(source)
        )
        publisher = self._publisher(source, repair=full)
        with reached(self.project, source, self._clock()) as (collector, info):
            collection = Collection(collector, publisher, info, inputs, clock=self._clock)
            return collection.run(full=full, on_progress=on_progress)

    def manifest(self, source: str = WAREHOUSE) -> CacheManifest:
        """Return the manifest of the current version.

        Raises:
            NotFoundError: Nothing was collected yet.
            InputError: It was changed by somebody.
        """
        found = self._publisher(source).current()
        if found is None:
            raise NotFoundError(f"nothing of {source} was collected yet; run: dteg metadata collect {source}")
        return found

    def documents(self, source: str = WAREHOUSE) -> list[TableDocument]:
        """Return all tables of the current version.

        Raises:
            NotFoundError: Nothing was collected yet.
            InputError: An object is gone or was changed.
        """
        publisher = self._publisher(source)
        return [publisher.document(table) for table in self.manifest(source).tables]

    def show(self, table: str, source: str = WAREHOUSE) -> TableDocument:
        """Return one table.

        Args:
            table: `schema.table`, or `table` if no other one has that name.
            source: Whose.

        Raises:
            NotFoundError: There is none, or there are several.
        """
        listed = self.manifest(source).tables
        same = [each for each in listed if each.table_id == table] or [
            each for each in listed if each.table_id.rpartition(".")[2] == table
        ]
        if len(same) != 1:
            names = [each.table_id for each in same or listed]
            bare = [name.rpartition(".")[2] for name in names]
            near = f"there are: {', '.join(names)}" if same else did_you_mean(table, [*names, *bare])
            raise NotFoundError(
                f"the cache of {source} has no table {table!r}; {near or 'see: dteg metadata show'}"
            )
        return self._publisher(source).document(same[0])

    def versions(self, source: str = WAREHOUSE) -> list[VersionEntry]:
        """Return the older versions that can be returned to, newest first."""
        return self.manifest(source).history

    def rollback(self, version: int, source: str = WAREHOUSE) -> CacheManifest:
        """Make the tables of an older version current again, as a new version. The next collection goes on from there.

        Raises:
            NotFoundError: There is no such version any more.
            InputError: One of its objects is gone or was changed; then nothing has changed.
        """
        self.manifest(source)
        return self._publisher(source).rollback(version)

    def export(self, path: Path, source: str = WAREHOUSE) -> int:
        """Write the manifest, a file for each table and the JSON Schema of those to a folder, for other programs.

        Args:
            path: The folder; files of the same names are replaced.
            source: Whose cache.

        Returns:
            How many tables.
        """
        return write_export(path, self.manifest(source), self.documents(source))

    def examples(self, source: str = WAREHOUSE) -> list[Example]:
        """Return all examples, those that are not valid at the end."""
        found = {each.id: each for document in self.documents(source) for each in document.examples}
        return [*found.values(), *self.manifest(source).rejected]

    def add_example(self, question: str, sql: str, source: str = WAREHOUSE) -> Example:
        """Prove an example, and add it to `metadata/examples.yaml`; it is published by the next collection.

        Raises:
            InputError: Its SQL does not pass; with the reason. Then the file is as before.
            ConfigError: The file is wrong.
        """
        entries = [document.table for document in self.documents(source)]
        with reached(self.project, source, self._clock()) as (collector, _):
            verifier = Verifier(entries, collector.dialect, collector.prober, self._clock())
            example = verifier.verify(new_example(question, sql, collector.dialect))
        if example.status != "valid":
            raise InputError(f"the example does not pass: {example.why}")
        append_example(self.project, ExampleNote(question=example.question, sql=example.sql, source=source))
        return example

    def suggest(
        self, source: str = WAREHOUSE, *, tables: Sequence[str] = (), per_table: int = PER_TABLE, limit: int = TABLES
    ) -> SuggestReport:  # fmt: skip
        """Let the configured model propose examples, prove them, and add those that pass to `metadata/examples.yaml`.

        Args:
            source: Whose cache.
            tables: Ids or names; default: those with the fewest examples.
            per_table: Most examples for each table.
            limit: Most tables, where none are named.

        Raises:
            ConfigError: No model is configured, or the file is wrong.
            NotFoundError: Nothing was collected yet, or there is no such table.
            TransientError: The database does not answer.
        """
        model = Model.configured()
        if model is None:
            raise ConfigError(
                "no model is configured; set DTEG_AI_MODEL, and DTEG_AI_URL for one that is not OpenAI's"
            )
        entries = [document.table for document in self.documents(source)]
        known = self.examples(source)
        named = [self.show(name, source).table.table_id for name in tables]
        with reached(self.project, source, self._clock()) as (collector, _):
            dialect, prober = collector.dialect, collector.prober
            waiting = [
                new_example(each.question, each.sql, dialect) for each in example_notes(self.project, source)
            ]
            suggesting = Suggesting(
                entries, [*known, *waiting], Verifier(entries, dialect, prober, self._clock()),
                check=lambda sql: check_sql(sql, dialect, entries, prober), model=model, dialect=dialect,
            )  # fmt: skip
            chosen = named or chosen_tables(entries, known, limit)
            report = suggesting.report(source, chosen, min(per_table, MOST_PER_TABLE))
        for each in report.added:
            note = ExampleNote(question=each.question, sql=each.sql, source=source, origin="llm")
            append_example(self.project, note)
        return report

    def quality(self, source: str = WAREHOUSE) -> QualityReport:
        """Measure the cache as it is now."""
        manifest, now = self.manifest(source), self._clock()
        entries = [document.table for document in self.documents(source)]
        measured = quality.measured(entries, self.examples(source), manifest.generated_at, now)
        undescribed = [each.table_id for each in entries if not each.description]
        return QualityReport(
            quality=measured, alerts=quality.alerts(manifest, measured, now, None), undescribed=undescribed,
            broken=manifest.rejected,
        )  # fmt: skip

    def check(
        self, sql: str, source: str = WAREHOUSE, *, run: bool = True, limits: Limits | None = None
    ) -> Verdict:
        """Have the gate look at a statement, plan it, and run it where it cannot write.

        Args:
            sql: From whomever.
            source: Whose tables it may read: those of the cache.
            run: Run it; otherwise it is only planned.
            limits: How far it may go.
        """
        wanted = limits or Limits()
        limited = Limits(wanted.rows, wanted.timeout_s, run and wanted.run)
        closed = self._closed(source)
        entries = [
            document.table for document in self.documents(source) if document.table.table_id not in closed
        ]
        with reached(self.project, source, self._clock()) as (collector, _):
            return check_sql(sql, collector.dialect, entries, collector.prober, limited)

    # --- inside ------------------------------------------------------------------------------------

    def _closed(self, source: str) -> frozenset[str]:
        """Return the tables that are for some people only; what a cache holds is for all who may read it."""
        from dteg.datasets.visible import closed_views

        return closed_views(self.project) if source == WAREHOUSE else frozenset()

    def _publisher(self, source: str, *, repair: bool = False) -> Publisher:
        store = open_store(self.uri(source))
        return Publisher(store, self._clock, repair=repair, key=self._key, gzip=self._gzip)

    def _report_all(self, source: str, found: list[Alert]) -> None:
        messages: dict[str, str] = {each.name: each.message for each in found}
        for name in _ALERTS:
            self._report(source, name, messages.get(name, ""))

    def _report_fresh(self, source: str) -> None:
        """Whoever heard that the cache grows old hears that it does not any more."""
        from dteg.alerts import report
        from dteg.metadata.expiry import freshness

        with contextlib.suppress(DtegError):
            report(self.project, freshness(source, self.manifest(source), None))

    def _report(self, source: str, name: str, message: str) -> None:
        """Tell the alerts what is wrong, or that it is no longer."""
        from dteg.alerts import Kind, Occurrence, Severity, State, report

        with contextlib.suppress(DtegError):
            report(
                self.project,
                Occurrence(
                    kind=Kind.CHECK, subject=f"metadata {source}: {name}", message=(message or "it is as it should be")[:1000],
                    state=State.FIRING if message else State.RESOLVED,
                    severity=Severity.ERROR if name == "publish_failed" else Severity.WARNING,
                    dedupe_key=f"metadata:{source}:{name}",
                ),
            )  # fmt: skip
